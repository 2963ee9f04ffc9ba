// What the browser remembers from one visit to the next: choices, never a token.
// A browser may forbid that; then all is forgotten with the page.

/** What was remembered, or null. */
export function recall(key) {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

/** Remembers a text, or with null forgets the one that was there. */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(key)
    else localStorage.setItem(key, value)
  } catch {
    // forgotten
  }
}
