// What the README tells people to paste works when it is pasted.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { launch, openWindow, skip } from './browser.js'
import { startServer } from './server.js'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

test('the transcript of log in and connect', async (t) => {
  const server = await startServer(t)
  const script = README.match(/from a terminal:\n\n```sh\n([\s\S]*?)```/)[1].replaceAll('localhost:3000', `localhost:${server.port}`)
  // Its seconds are enough for people's machines. Here the input of wscat, and wscat with it, ends when the ack is there.
  const patient = script.replace('sleep 5 |', 'cat |').replace('-w 1', '-w -1')
  const running = promisify(execFile)('bash', ['-euo', 'pipefail', '-c', patient], { timeout: 60_000 })
  let told = ''
  running.child.stdout.on('data', (text) => (told += text).includes('"type":"ack"') && running.child.stdin.end())
  const { stdout } = await running
  const answers = stdout.trim().replaceAll('}{', '}\n{').split('\n').map((text) => JSON.parse(text.replace(/^[<>] /, '')))
  const promised = README.match(/-w 1\n```\n\n```\n([\s\S]*?)```/)[1].trim().split('\n')
  assert.equal(answers.length, promised.length, stdout)
  promised.forEach((line, i) => {
    const names = [...line.matchAll(/[{,]"(\w+)":/g)].map(([, name]) => name)
    for (const name of names) assert.ok(JSON.stringify(answers[i]).includes(`"${name}":`), `${JSON.stringify(answers[i])} lacks ${name}`)
  })
  assert.deepEqual(answers.slice(2).map(({ type }) => type), ['welcome', 'subscribed', 'ack'])
})

test("the page's client", { skip }, async (t) => {
  const server = await startServer(t)
  const page = await openWindow(await launch(t), server.origin)
  await page.evaluate(async () => {
    for (const path of ['/register', '/login']) {
      const body = { username: 'alice', password: 'correct horse battery', ...(path === '/login' && { use_cookie: true }) }
      await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    }
  })
  const code = README.match(/```js\n([\s\S]*?)```/)[1]
  const script = code.replaceAll('localhost:3000', `localhost:${server.port}`).replace(/import (.*) from (.*)/, 'const $1 = await import($2)')
  const receipt = await page.evaluate(`(async () => { ${script.replace('await lobby.send', 'return lobby.send')} })()`)
  assert.equal(receipt.seq, 1)
  assert.deepEqual(page.troubles, [])
})
