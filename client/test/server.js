// Starts the real server for a test and stops it with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const BINARY = process.env.SERVER_BINARY ?? fileURLToPath(new URL('../../build/gatecast', import.meta.url))
/** Limits that are out of the way of tests that are not about them. */
const OFF = ['handshakes', 'register', 'login', 'login-account', 'login-failures-account', 'login-failures']
const PASSWORD = 'correct horse battery'

/**
 * @param {import('node:test').TestContext} t
 * @param {string[]} flags
 */
export async function startServer(t, ...flags) {
  const dir = await mkdtemp(join(tmpdir(), 'gatecast-'))
  const server = new Server(dir, flags)
  t.after(async () => {
    await server.stop()
    await rm(dir, { recursive: true })
  })
  await server.start()
  return server
}

class Server {
  port = 0
  /** The signing up that is under way. */
  #grant = Promise.resolve()

  constructor(dir, flags) {
    this.dir = dir
    this.flags = flags
  }

  get origin() {
    return `http://localhost:${this.port}`
  }

  get socket() {
    return `ws://localhost:${this.port}/ws`
  }

  async start() {
    this.process = spawn(
      BINARY,
      [`--port=${this.port}`, `--data-dir=${this.dir}`, ...OFF.map((limit) => `--limits.${limit}.rate=0`), ...this.flags],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    this.ended = once(this.process, 'exit')
    const lines = createInterface({ input: this.process.stdout })
    const [first] = await Promise.race([once(lines, 'line'), this.ended.then(([code]) => Promise.reject(new Error(`the server ended with ${code}`)))])
    this.port = Number(new URL(JSON.parse(first).page).port)
  }

  async stop() {
    this.process.kill('SIGTERM')
    const [code] = await this.ended
    if (code !== 0) throw new Error(`the server ended with ${code}`)
  }

  /** Ends it without a word. */
  async kill() {
    this.process.kill('SIGKILL')
    await this.ended
  }

  /** Signs a new user up and answers an access token. */
  async token(username) {
    return (await this.grant(username)).access_token
  }

  /**
   * Signs a new user up and answers what a login gives. One at a time: passwords are
   * hard to hash, and the server turns away who would wait for too long.
   */
  grant(username) {
    const before = this.#grant.catch(() => {}) // whoever asked was told
    return (this.#grant = before.then(async () => {
      await this.post('/register', { username, password: PASSWORD })
      return this.post('/login', { username, password: PASSWORD })
    }))
  }

  async post(path, body) {
    const response = await fetch(this.origin + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = response.status === 204 ? undefined : await response.json()
    if (!response.ok) throw new Error(`${path}: ${response.status} ${answer.detail}`)
    return answer
  }
}

/**
 * Resolves with the first thing that `on` delivers and `wanted` accepts.
 *
 * @param {(fn: (value: any) => void) => void} on
 */
export function first(on, wanted = () => true, patience = 20_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('waited in vain')), patience)
    on((value) => {
      if (!wanted(value)) return
      clearTimeout(timer)
      resolve(value)
    })
  })
}
