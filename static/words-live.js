// What the live tab says, in the languages that the page speaks.

/** @type {Record<string, string>} */
export const english = {
  'live.silent': 'Nothing comes here at the moment. To see something, start the server with --demo.',

  'live.prices': 'Prices',
  'live.pricesAbout': 'A backend publishes to live:prices, and everyone who looks sees it at once.',
  'live.symbol': 'Symbol',
  'live.price': 'Price',
  'live.change': 'Change',
  'live.course': 'Trend',
  'live.up': 'up',
  'live.down': 'down',
  'live.same': 'unchanged',

  'live.sensors': 'Sensors',
  'live.sensorsAbout': 'Readings that devices send to live:sensors.',
  'live.sensor.temperature': 'Temperature',
  'live.sensor.humidity': 'Humidity',
  'live.sensor.power': 'Power',
  'live.sensor.co2': 'CO₂',

  'live.cursors': 'Shared board',
  'live.cursorsAbout': 'Move over the board: everyone in live:cursors sees where you are.',
  'live.cursorsKeys': 'With the keyboard: arrow keys move your cursor, with Shift in larger steps.',
  'live.cursorsWho': 'On the board: {names}.',
  'live.cursorsNobody': 'Nobody else is on the board. Open a second window, or ask a friend.',

  'live.notifications': 'Notifications',
  'live.notificationsAbout': 'Only you can read your own channel. What came while you were away is kept.',
  'live.note.welcome': 'Welcome! Here you read what is for you alone.',
  'live.note.mention': '{name} mentioned you.',
  'live.note.order': 'Order {number} is on its way.',
  'live.note.price': '{symbol} is at {price}.',
  'live.note.other': 'Something happened: {kind}',
}

/** @type {Record<string, string>} */
export const vietnamese = {
  'live.silent': 'Hiện chưa có gì ở đây. Để xem dữ liệu mẫu, hãy khởi động máy chủ với --demo.',

  'live.prices': 'Bảng giá',
  'live.pricesAbout': 'Một backend gửi giá vào live:prices, ai đang xem cũng thấy ngay.',
  'live.symbol': 'Mã',
  'live.price': 'Giá',
  'live.change': 'Thay đổi',
  'live.course': 'Diễn biến',
  'live.up': 'tăng',
  'live.down': 'giảm',
  'live.same': 'không đổi',

  'live.sensors': 'Cảm biến',
  'live.sensorsAbout': 'Số đo mà các thiết bị gửi vào live:sensors.',
  'live.sensor.temperature': 'Nhiệt độ',
  'live.sensor.humidity': 'Độ ẩm',
  'live.sensor.power': 'Công suất',
  'live.sensor.co2': 'CO₂',

  'live.cursors': 'Bảng chung',
  'live.cursorsAbout': 'Di chuyển trên bảng: mọi người trong live:cursors đều thấy bạn ở đâu.',
  'live.cursorsKeys': 'Bằng bàn phím: các phím mũi tên di chuyển con trỏ, giữ Shift để đi bước lớn hơn.',
  'live.cursorsWho': 'Đang ở trên bảng: {names}.',
  'live.cursorsNobody': 'Chưa có ai khác trên bảng. Hãy mở thêm một cửa sổ hoặc rủ một người bạn.',

  'live.notifications': 'Thông báo',
  'live.notificationsAbout': 'Chỉ bạn đọc được kênh của mình. Những gì đến khi bạn vắng mặt vẫn được giữ lại.',
  'live.note.welcome': 'Chào mừng bạn! Đây là nơi bạn đọc những gì dành riêng cho mình.',
  'live.note.mention': '{name} đã nhắc đến bạn.',
  'live.note.order': 'Đơn hàng {number} đang trên đường đến.',
  'live.note.price': '{symbol} đang ở mức {price}.',
  'live.note.other': 'Có sự kiện mới: {kind}',
}
