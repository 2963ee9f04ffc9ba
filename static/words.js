// What the page says, in the languages it speaks. {name} is filled in.

import { recall, remember } from '/memory.js'

const english = {
  language: 'Language',
  doorTitle: 'Come in',
  doorText: 'Log in to talk in the lobby, or sign up with a new name.',
  username: 'Username',
  password: 'Password',
  passwordHint: 'For a new account, a phrase of several words is best.',
  logIn: 'Log in',
  signUp: 'Sign up',
  logOut: 'Log out',
  online: 'Online',
  messages: 'Messages',
  message: 'Message',
  messagePlaceholder: 'Write a message',
  send: 'Send',
  you: 'you',
  joined: '{name} joined',
  left: '{name} left',
  typingOne: '{name} is typing…',
  typingMany: '{name} are typing…',
  others: '{n} more',
  sending: 'sending…',
  notSent: 'not sent',
  missing: 'Some messages may be missing here: they are no longer kept.',
  removed: 'This message was removed.',
  deletedAccount: 'Deleted account',

  'status.initial': 'Not connected',
  'status.connecting': 'Connecting…',
  'status.connected': 'Connected',
  'status.reconnecting': 'Connection lost, trying again…',
  'status.disconnected': 'Not connected',
  'status.failed': 'Not connected',

  'error.unreachable': 'The server cannot be reached. Is it running?',
  'error.session_ended': 'This session has ended. Please log in again.',
  'error.https_required': 'Logging in needs https. Whoever runs this server behind a proxy names it in http.trusted_proxies.',
  'error.bad_credentials': 'Wrong username or password.',
  'error.account_disabled': 'This account is disabled. Ask whoever runs this server.',
  'error.username_taken': 'This username is taken. Choose another, or log in.',
  'error.registration_closed': 'Nobody can sign up here. Ask the operator for an account.',
  'error.invalid_username': 'This username cannot be used: use letters, digits and no spaces, 64 at most.',
  'error.invalid_password': 'This password cannot be used: {detail}.',
  'error.rate_limited': 'Too fast. Try again in {n} s.',
  'error.busy': 'The server is busy. Try again in a moment.',
  'error.overloaded': 'The server is busy. Try again in a moment.',
  'error.draining': 'The server is restarting. Try again in a moment.',
  'error.unavailable': 'The server could not do this now. Try again later.',
  'error.internal': 'Something went wrong on the server.',
  'error.unreadable': 'The server gave an answer that makes no sense. Try again in a moment.',
  'error.forbidden': 'You may not do this here.',
  'error.disconnected': 'The message was not sent: the connection was lost.',
  'error.timeout': 'The server did not answer in time.',
  'error.unknown': 'It is not known whether the message was sent. Send it again: it will not appear twice.',
  'error.any': 'This did not work: {detail}',
}

const vietnamese = {
  language: 'Ngôn ngữ',
  doorTitle: 'Mời bạn vào',
  doorText: 'Đăng nhập để trò chuyện ở sảnh, hoặc đăng ký tài khoản mới.',
  username: 'Tên đăng nhập',
  password: 'Mật khẩu',
  passwordHint: 'Khi đăng ký, nên dùng một cụm gồm vài từ.',
  logIn: 'Đăng nhập',
  signUp: 'Đăng ký',
  logOut: 'Đăng xuất',
  online: 'Trực tuyến',
  messages: 'Tin nhắn',
  message: 'Tin nhắn',
  messagePlaceholder: 'Nhập tin nhắn',
  send: 'Gửi',
  you: 'bạn',
  joined: '{name} đã tham gia',
  left: '{name} đã rời đi',
  typingOne: '{name} đang gõ…',
  typingMany: '{name} đang gõ…',
  others: '{n} người khác',
  sending: 'đang gửi…',
  notSent: 'chưa gửi được',
  missing: 'Có thể thiếu một số tin nhắn ở đây vì chúng không còn được lưu.',
  removed: 'Tin nhắn này đã bị xóa.',
  deletedAccount: 'Tài khoản đã xóa',

  'status.initial': 'Chưa kết nối',
  'status.connecting': 'Đang kết nối…',
  'status.connected': 'Đã kết nối',
  'status.reconnecting': 'Mất kết nối, đang thử lại…',
  'status.disconnected': 'Chưa kết nối',
  'status.failed': 'Chưa kết nối',

  'error.unreachable': 'Không kết nối được tới máy chủ. Máy chủ có đang chạy không?',
  'error.session_ended': 'Phiên đăng nhập này đã kết thúc. Vui lòng đăng nhập lại.',
  'error.https_required': 'Đăng nhập cần https. Nếu máy chủ nằm sau proxy, người vận hành khai báo proxy trong http.trusted_proxies.',
  'error.bad_credentials': 'Sai tên đăng nhập hoặc mật khẩu.',
  'error.account_disabled': 'Tài khoản này đã bị vô hiệu hóa. Hãy hỏi người vận hành máy chủ.',
  'error.username_taken': 'Tên này đã có người dùng. Hãy chọn tên khác hoặc đăng nhập.',
  'error.registration_closed': 'Ở đây không mở đăng ký. Hãy hỏi người quản trị để có tài khoản.',
  'error.invalid_username': 'Không dùng được tên này: chỉ dùng chữ, số, không có dấu cách, tối đa 64 ký tự.',
  'error.invalid_password': 'Không dùng được mật khẩu này: {detail}.',
  'error.rate_limited': 'Bạn gửi quá nhanh. Hãy thử lại sau {n} giây.',
  'error.busy': 'Máy chủ đang bận. Hãy thử lại sau giây lát.',
  'error.overloaded': 'Máy chủ đang bận. Hãy thử lại sau giây lát.',
  'error.draining': 'Máy chủ đang khởi động lại. Hãy thử lại sau giây lát.',
  'error.unavailable': 'Máy chủ chưa làm được việc này. Hãy thử lại sau.',
  'error.internal': 'Máy chủ gặp sự cố.',
  'error.unreadable': 'Máy chủ trả lời không hợp lệ. Hãy thử lại sau giây lát.',
  'error.forbidden': 'Bạn không có quyền làm việc này.',
  'error.disconnected': 'Tin nhắn chưa được gửi: mất kết nối.',
  'error.timeout': 'Máy chủ không trả lời kịp.',
  'error.unknown': 'Không rõ tin nhắn đã được gửi hay chưa. Hãy gửi lại: tin nhắn sẽ không bị trùng.',
  'error.any': 'Không thực hiện được: {detail}',
}

/** @type {Record<string, Record<string, string>>} */
export const languages = { en: english, vi: vietnamese }

let words = english

/** The language that this visitor chose before, or that the browser asks for. */
export function preferredLanguage() {
  const wished = [recall('language'), ...navigator.languages.map((tag) => tag.slice(0, 2))]
  return wished.find((tag) => tag !== null && tag in languages) ?? 'en'
}

/** Speaks a language from now on, in everything that is on the page already. */
export function speak(/** @type {string} */ language) {
  words = languages[language]
  remember('language', language)
  document.documentElement.lang = language
  for (const element of document.querySelectorAll('[data-word]')) element.textContent = say(element.dataset.word)
  for (const element of document.querySelectorAll('[data-word-label]')) element.setAttribute('aria-label', say(element.dataset.wordLabel))
  for (const element of document.querySelectorAll('[data-word-placeholder]')) element.placeholder = say(element.dataset.wordPlaceholder)
}

/** The words for a key, with {name}s filled in. */
export function say(key, fill = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => fill[name])
}

/** An error in words: a problem of the API, a refusal of the socket, or neither. */
export function sayError({ code, message, retryAfterMs }) {
  const key = `error.${code}`
  return key in words ? say(key, { n: Math.ceil((retryAfterMs ?? 1000) / 1000), detail: message }) : say('error.any', { detail: message })
}
