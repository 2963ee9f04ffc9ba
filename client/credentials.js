// What a connection is let in with.

import { UnauthorizedError } from './errors.js'

const PROTOCOL = 'gatecast.v1'

/** How long an answer of the API may take, in ms. */
const PATIENCE = 10_000
const UNAUTHORIZED = 401

/**
 * @typedef {() => Promise<string> | string} GetToken
 * @typedef {{username: string, password: string}} Login
 */

/** An answer of the API that is no success. */
export class RefusalError extends Error {
  name = 'RefusalError'

  /**
   * @param {number} status of HTTP
   * @param {string} message
   * @param {number} [retryAfterMs]
   */
  constructor(status, message, retryAfterMs) {
    super(message)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Waits are told in whole seconds (RFC 9110, 10.2.3); dates are passed over.
 *
 * @param {string | null | undefined} header
 */
export function retryAfterMs(header) {
  const seconds = Number(header ?? NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

/** Access tokens, of which one at a time is asked for. */
export class Tokens {
  #getToken
  /** @type {Promise<string> | undefined} */
  #pending

  /** @param {GetToken} getToken */
  constructor(getToken) {
    this.#getToken = getToken
  }

  /** A token; the same one for all who ask while it is being had. */
  next() {
    const pending = (this.#pending ??= this.#ask().finally(() => {
      if (this.#pending === pending) this.#pending = undefined
    }))
    return pending
  }

  /** Waits no longer for the one that is being had: it may never come. */
  forget() {
    this.#pending = undefined
  }

  async #ask() {
    const token = await this.#getToken()
    // Platforms quote what cannot stand in a header, and their errors are logged.
    if (typeof token !== 'string' || !/^[\x20-\x7e]+$/.test(token)) throw new UnauthorizedError('getToken gave no token that can be sent')
    return token
  }
}

/**
 * Opens a socket with a token. Tokens go into no URL, since URLs are logged: a
 * constructor that was given takes a header, as that of the package ws does. The
 * platform's own takes none in browsers, so it is let in with a ticket, which is
 * spent before anyone reads a log.
 *
 * @param {{url: string, WebSocket?: any}} options
 * @param {string} token
 * @returns {Promise<any>}
 */
export async function dial({ url, WebSocket: Given }, token) {
  if (Given && Given !== globalThis.WebSocket) return new Given(url, [PROTOCOL], { headers: { Authorization: `Bearer ${token}` } })
  const { ticket } = await post(httpURL(url, 'ws/ticket'), undefined, token)
  const withTicket = new URL(url)
  withTicket.searchParams.set('ticket', ticket)
  return new WebSocket(withTicket.href, [PROTOCOL])
}

/**
 * Makes a getToken that logs in by name and password, and keeps the session.
 *
 * @param {string} url of the socket
 * @param {Login} login
 * @returns {GetToken}
 */
export function logIn(url, { username, password }) {
  let session = '' // the refresh token
  const take = (/** @type {any} */ grant) => {
    session = grant.refresh_token
    return grant.access_token
  }
  const refresh = async () => take(await post(httpURL(url, 'refresh'), { refresh_token: session }))
  const begin = async () => take(await post(httpURL(url, 'login'), { username, password }))
  return async () => {
    if (session) {
      try {
        return await refresh()
      } catch (error) {
        if (!isUnauthorized(error)) throw error
        session = ''
      }
    }
    return begin().catch((error) => {
      throw isUnauthorized(error) ? new UnauthorizedError(error.message) : error
    })
  }
}

const isUnauthorized = (/** @type {any} */ error) => error instanceof RefusalError && error.status === UNAUTHORIZED

/**
 * A resource beside the socket's.
 *
 * @param {string} url of the socket
 * @param {string} path
 */
function httpURL(url, path) {
  return new URL(path, url.replace(/^ws/, 'http')).href
}

/**
 * @param {string} url
 * @param {object} [body]
 * @param {string} [token]
 */
async function post(url, body, token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
    credentials: 'omit', // what is shown is shown on purpose
    signal: AbortSignal.timeout(PATIENCE),
  })
  if (response.ok) return response.json() // which throws where the answer was cut off
  const { detail = response.statusText } = await response.json().catch(() => ({})) // a proxy may answer for the server
  throw new RefusalError(response.status, detail, retryAfterMs(response.headers.get('Retry-After')))
}
