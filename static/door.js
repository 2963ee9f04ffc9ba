// Signing up and logging in over the API.

/** An answer of the API that is no success. */
export class CodedError extends Error {
  constructor({ code, detail }, retryAfterMs) {
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

async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = await response.json()
  if (!response.ok) throw new CodedError(answer, Number(response.headers.get('Retry-After')) * 1000)
  return answer
}
