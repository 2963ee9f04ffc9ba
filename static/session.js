// The login session. A refresh token keeps it, in a cookie that no script can
// read. Over plain http there is no such cookie, except on localhost; the token
// is then in a variable, as access tokens are, and the session ends with the page.

import { post } from '/api.js'
import { UnauthorizedError } from '/client/gatecast.js'
import { recall, remember } from '/memory.js'

/** An access token with less than this left is not used, in ms. */
const NEAR_END = 30_000

class SessionEndedError extends UnauthorizedError {
  code = 'session_ended'
}

/** Signs up first where action is `register`, and logs in. */
export async function enter(action, username, password) {
  if (action === 'register') await post('/register', { username, password })
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
  #access = { token: '', expiresAt: 0 } // by this machine's clock, in ms
  #proof = {} // what /refresh is sent: nothing where there is a cookie
  #renewal = null // the promise of a new token, while it is being had

  async logIn(username, password) {
    const grant = await post('/login', { username, password, use_cookie: isSecureContext })
    this.#take(grant)
    remember('session', grant.refresh_token ? null : 'in a cookie')
  }

  /** What lets one socket in. */
  async ticket() {
    return (await this.#ask('/ws/ticket')).ticket
  }

  /** Ends the session, and with it the sockets that it has in other tabs. */
  async logOut() {
    await this.#ask('/logout').catch((error) => {
      if (!(error instanceof SessionEndedError)) throw error // else it has ended already
    })
    remember('session', null)
  }

  /** A new access token; the same one for all who ask while it is being had. */
  renew() {
    this.#renewal ??= this.#refresh().finally(() => (this.#renewal = null))
    return this.#renewal
  }

  /** Asks with an access token, and with a new one where it has ended before its time. */
  async #ask(path) {
    const isGood = Date.now() < this.#access.expiresAt - NEAR_END
    const token = isGood ? this.#access.token : await this.renew()
    try {
      return await postInSession(path, {}, token)
    } catch (error) {
      if (!(error instanceof SessionEndedError)) throw error
    }
    return postInSession(path, {}, await this.renew())
  }

  // Other tabs may do this at the same moment, with the same cookie: the server
  // gives all of them the same next one.
  async #refresh() {
    try {
      return this.#take(await postInSession('/refresh', this.#proof))
    } catch (error) {
      if (error instanceof SessionEndedError) remember('session', null)
      throw error
    }
  }

  #take(grant) {
    this.#access = { token: grant.access_token, expiresAt: Date.now() + grant.expires_in * 1000 }
    this.#proof = grant.refresh_token ? { refresh_token: grant.refresh_token } : {}
    return grant.access_token
  }
}

/** Posts, and takes a 401 as the end of the session. */
async function postInSession(path, body, token) {
  try {
    return await post(path, body, token)
  } catch (error) {
    throw error.status === 401 ? new SessionEndedError(error.message) : error
  }
}
