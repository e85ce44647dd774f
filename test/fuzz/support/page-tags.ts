/** The tags of the pages, but for the links, whose target differs. */
export const TAGS: ReadonlySet<string> = new Set(
  [
    ['<!doctype html>', '<html lang="en">', '<meta charset="utf-8">', '<meta name="robots" content="noindex">'],
    ['<meta name="viewport" content="width=device-width, initial-scale=1">', '<title>', '</title>', '<style>'],
    ['</style>', '<main>', '</main>', '<h1>', '</h1>', '<p>', '</p>', '<footer>', '</footer>', '</a>', '</html>'],
  ].flat(),
)

/** The tags of a page, in their order, and whatever else looks like one. */
export const tagsOf = (page: string): string[] => page.match(/<[^>]*>?/g) ?? []
