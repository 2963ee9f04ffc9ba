import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { GatecastProvider } from 'gatecast/react'
import { Chat } from './Chat.jsx'
import { LogIn } from './LogIn.jsx'
import { getToken, hasSession, logOut } from './session.js'
import './style.css'

const options = { url: `${location.origin.replace('http', 'ws')}/ws`, getToken }

function App() {
  const [isIn, setIsIn] = useState(hasSession)
  if (!isIn) return <LogIn onDone={() => setIsIn(true)} />

  function leave() {
    setIsIn(false) // first, or the client would ask for another token
    logOut()
  }

  return (
    <GatecastProvider options={options}>
      <Chat onLeave={leave} />
    </GatecastProvider>
  )
}

createRoot(document.getElementById('root')).render(<StrictMode><App /></StrictMode>)
