// A library that knows only require(), and hands on what it got.
exports.BroadcasterClient = require('@broadcaster/client').BroadcasterClient
exports.BroadcasterProvider = require('@broadcaster/react').BroadcasterProvider
