/** A form of a page: where it goes, the fields it holds, the buttons it offers. */
export interface Form {
  action: string
  method: string
  fields: Record<string, string>
  buttons: { name: string; value: string }[]
}

const unescapeHtml = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1]
  return value === undefined ? undefined : unescapeHtml(value)
}

/** Reads the forms of a page. Enough for plain pages, which those of the test server are. */
export function readForms(html: string): Form[] {
  return [...html.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/gi)].map(([form]) => {
    const tags = [...form.matchAll(/<(form|input|button)\b[^>]*>/gi)].map(([tag, kind]) => ({ tag, kind }))
    const fields: Record<string, string> = {}
    const buttons: Form['buttons'] = []
    for (const { tag, kind } of tags) {
      const name = attribute(tag, 'name')
      const value = attribute(tag, 'value') ?? ''
      if (name === undefined) continue
      if (kind?.toLowerCase() === 'button') buttons.push({ name, value })
      else fields[name] = value
    }
    return {
      action: attribute(form, 'action') ?? '',
      method: (attribute(form, 'method') ?? 'get').toUpperCase(),
      fields,
      buttons,
    }
  })
}
