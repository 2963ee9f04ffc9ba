// Reads the code of the two tutorials that Gatecast grew from, where the
// folder with them lies beside the project.

import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../../shared/seeds/', import.meta.url))
const CHAT_TUTORIAL = FOLDER + '000_5590d336dca10a7f.md'
const HOOK_TUTORIAL = FOLDER + '003_17c58979a9712662.md'

/** Why tests that need the tutorials cannot run, or false. */
export const missing = existsSync(CHAT_TUTORIAL) && existsSync(HOOK_TUTORIAL) ? false : 'the tutorials are not beside the project'

/** The first fenced block of a file in a language that holds some text. */
function block(file, language, text) {
  const blocks = readFileSync(file, 'utf8').matchAll(new RegExp('```' + language + '\\n([\\s\\S]*?)```', 'g'))
  for (const [, code] of blocks) if (code.includes(text)) return code
  throw new Error(`${file} has no block with ${text}`)
}

/** The class WebSocketClient, as it is, with a given WebSocket and console. */
export function webSocketClient(WebSocket, console) {
  const module = { exports: {} }
  const code = block(CHAT_TUTORIAL, 'javascript', 'class WebSocketClient')
  new Function('WebSocket', 'console', 'module', 'require', code)(WebSocket, console, module, () => WebSocket)
  return module.exports
}

/** The function createWs, as it is, with given globals. */
export function createWs(globals) {
  const code = block(HOOK_TUTORIAL, 'javascript', 'function createWs')
  return new Function(...Object.keys(globals), `${code}; return createWs`)(...Object.values(globals))
}

/** The chat page, as it is but for the URL. */
export function chatPage(url) {
  return block(CHAT_TUTORIAL, 'html', 'class ChatApp').replace('ws://localhost:3000', url)
}
