import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The API is on the page's own origin, so that the session's cookie is sent, and
// no page of another site can use it. Host goes on as it is: the server compares
// it with Origin.
const target = process.env.GATECAST ?? 'http://localhost:3000'
const proxy = Object.fromEntries(['/login', '/logout', '/register', '/refresh'].map((path) => [path, { target }]))
proxy['/ws'] = { target, ws: true } // POST /ws/ticket too

export default defineConfig({
  plugins: [react()],
  resolve: { dedupe: ['react', 'react-dom'] }, // gatecast is a link here, with a React beside it
  server: { proxy },
  preview: { proxy },
})
