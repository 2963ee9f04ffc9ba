// Signing up and logging in over the API.

/** How long an answer may take, in ms. */
const PATIENCE = 15_000

/** An answer of the API that is no success. */
export class CodedError extends Error {
  constructor({ code = 'unreadable', detail }, retryAfterMs) {
    super(detail)
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Signs up first where action is `register`, and logs in.
 *
 * @returns {Promise<{token: string, expiresAt: number}>} expiresAt by this machine's clock, in ms
 */
export async function enter(action, username, password) {
  if (action === 'register') await post('/register', { username, password })
  const grant = await post('/login', { username, password })
  return { token: grant.access_token, expiresAt: Date.now() + grant.expires_in * 1000 }
}

/** Tells whether the server still takes a token. A browser does not see why a socket was refused. */
export async function isGood(token) {
  const response = await fetch('/me', { headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(PATIENCE) })
  return response.status !== 401
}

async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
  })
  const answer = await response.json().catch(() => ({})) // a proxy may answer for the server
  if (!response.ok) throw new CodedError(answer, Number(response.headers.get('Retry-After')) * 1000 || undefined)
  return answer
}
