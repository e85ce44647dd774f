/** Where Stately's inspector lives. */
export const INSPECTOR_ORIGIN = 'https://stately.ai'

/** Frames Stately's inspector, and hands it what the web socket brings once it says that it listens. */
export const inspectorPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>authchart in Stately's inspector</title>
<style>html, body, iframe { margin: 0; width: 100%; height: 100%; border: 0; display: block }</style>
<iframe title="Stately inspector" src="${INSPECTOR_ORIGIN}/inspect"></iframe>
<script>
  const frame = document.querySelector('iframe').contentWindow
  const waiting = []
  let listens = false
  const tell = (message) => frame.postMessage(message, '${INSPECTOR_ORIGIN}')
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== frame || origin !== '${INSPECTOR_ORIGIN}' || data?.type !== '@statelyai.connected') return
    listens = true
    waiting.splice(0).forEach(tell)
  })
  new WebSocket('ws://' + location.host).onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (listens) tell(message)
    else waiting.push(message)
  }
</script>
</html>
`
