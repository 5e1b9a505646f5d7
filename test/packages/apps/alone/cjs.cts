import express = require('express')
import server = require('@broadcaster/server')

express().use('/broadcast', server.broadcaster({ redis: false, webSocket: { perMessageDeflate: true } }))

// @ts-expect-error the server has no such option
server.broadcaster({ webSocket: { maxPayload: 1 } })
