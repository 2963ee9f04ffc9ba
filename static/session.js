// The login session. A refresh token keeps it, in a cookie that no script can
// read. Over plain http there is no such cookie, except on localhost; the token
// is then in a variable, as access tokens are, and the session ends with the page.

import { call } from '/api.js'
import { UnauthorizedError } from '/client/gatecast.js'
import { recall, remember } from '/memory.js'

/** An access token with less than this left is not used, in ms. */
const NEAR_END = 30_000

class SessionEndedError extends UnauthorizedError {
  code = 'session_ended'
}

/** Signs up first where action is `register`, and logs in. */
export async function enter(action, username, password) {
  if (action === 'register') await call('POST', '/register', { body: { username, password } })
  const session = new Session()
  await session.logIn(username, password)
  return session
}

/** The session that was there before the page was loaded, or null. */
export async function comeBack() {
  if (!recall('session')) return null // a cookie cannot be seen, and to ask without one is an error in the console
  const session = new Session()
  await session.renew()
  return session
}

/** What is asked of a session that has ended throws SessionEndedError. */
class Session {
  // expiresAt is by performance.now(), in ms; isKnown: the client has had the token.
  #access = { token: '', expiresAt: 0, isKnown: false }
  #proof = {} // what /refresh is sent: nothing where there is a cookie
  #renewal = null // the promise of a new token, while it is being had

  async logIn(username, password) {
    const grant = await call('POST', '/login', { body: { username, password, use_cookie: isSecureContext } })
    this.#take(grant)
    remember('session', grant.refresh_token ? null : 'in a cookie')
  }

  /**
   * An access token for the client. When it asks again, what it had was not
   * taken or comes to its end: it never gets the same one twice.
   */
  async token() {
    if (this.#access.isKnown || this.#isNearEnd) await this.renew()
    this.#access.isKnown = true
    return this.#access.token
  }

  /** Ends the session, and with it the sockets that it has in other tabs. */
  async logOut() {
    await this.ask('POST', '/logout', {}).catch((error) => {
      if (!(error instanceof SessionEndedError)) throw error // else it has ended already
    })
    remember('session', null)
  }

  /** Asks the API with an access token, and with a new one where it has ended before its time. */
  async ask(method, path, body) {
    if (this.#isNearEnd) await this.renew()
    try {
      return await callInSession(method, path, { body, token: this.#access.token })
    } catch (error) {
      if (!(error instanceof SessionEndedError)) throw error
    }
    await this.renew()
    return callInSession(method, path, { body, token: this.#access.token })
  }

  /** Has a new access token; whoever asks for one meanwhile waits for the same. */
  renew() {
    this.#renewal ??= this.#refresh().finally(() => (this.#renewal = null))
    return this.#renewal
  }

  get #isNearEnd() {
    return performance.now() > this.#access.expiresAt - NEAR_END
  }

  // Other tabs may do this at the same moment, with the same cookie: the server
  // gives all of them the same next one.
  async #refresh() {
    try {
      this.#take(await callInSession('POST', '/refresh', { body: this.#proof }))
    } catch (error) {
      if (error instanceof SessionEndedError) remember('session', null)
      throw error
    }
  }

  #take(grant) {
    this.#access = { token: grant.access_token, expiresAt: performance.now() + grant.expires_in * 1000, isKnown: false }
    this.#proof = grant.refresh_token ? { refresh_token: grant.refresh_token } : {}
  }
}

/** Asks, and takes a 401 as the end of the session. */
async function callInSession(method, path, what) {
  try {
    return await call(method, path, what)
  } catch (error) {
    throw error.status === 401 ? new SessionEndedError(error.message) : error
  }
}
