import express = require('express')
import server = require('@broadcaster/server')
import exporter = require('@broadcaster/server/prometheus')

express().use('/broadcast', server.broadcaster({ redis: false, webSocket: { perMessageDeflate: true } }))

// @ts-expect-error the server has no such option
server.broadcaster({ webSocket: { maxPayload: 1 } })

exporter.prometheus(server.broadcaster({ redis: false }))
