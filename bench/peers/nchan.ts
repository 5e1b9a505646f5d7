import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nchanModule } from '../harness/nginx.ts'
import { connectRedis, ready } from '../relay/peer.ts'

/**
 * nginx with nchan, one worker. It can't subscribe to plain Redis channels, so this process forwards each message to it as
 * an HTTP POST. Only nginx is measured.
 */
const directory = mkdtempSync(join(tmpdir(), 'bench-nchan-'))
const port = Number(process.env['PORT'] ?? (await freePort()))
mkdirSync(join(directory, 'temp'))
writeFileSync(
  join(directory, 'nginx.conf'),
  `
load_module ${nchanModule()};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
error_log ${directory}/error.log;
pid ${directory}/nginx.pid;
events { worker_connections 19000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 10m;
  client_body_buffer_size 1m;
  client_body_temp_path ${directory}/temp;
  nchan_max_reserved_memory 1g;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/pub/(.+)$ {
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_timeout 30s;
      nchan_message_buffer_length 1000;
    }
    location ~ ^/sub/(.+)$ {
      nchan_subscriber websocket;
      nchan_subscriber_first_message newest;
      nchan_channel_id $1;
    }
    location ~ ^/poll/(.+)$ {
      nchan_subscriber longpoll;
      nchan_subscriber_first_message newest;
      nchan_channel_id $1;
    }
  }
}
`,
)
// Without -e, nginx writes to its compiled-in log file until it has read the configuration.
const nginx = spawn(
  'nginx',
  ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', `${directory}/error.log`],
  {
    stdio: 'inherit',
  },
)
nginx.on('exit', (code) => {
  process.stderr.write(readFileSync(`${directory}/error.log`, 'utf8'))
  process.exit(code ?? 1)
})
process.on('exit', () => {
  nginx.kill()
  rmSync(directory, { recursive: true, force: true })
})

const redis = connectRedis()
await waitUntilOpen(port)
// One connection keeps the messages in order. Requests are pipelined, so that this process does not delay them.
const publisher = net.connect({ port, host: '127.0.0.1', noDelay: true })
publisher.resume()
redis.on('pmessage', (_pattern, channel, body) => {
  const bytes = Buffer.byteLength(body)
  publisher.write(
    `POST /pub/${channel} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n${body}`,
  )
})
await redis.psubscribe('news-*')
ready({ port, pid: nginx.pid! })

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port: free } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return free
}

async function waitUntilOpen(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true))
      socket.on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (isOpen) return
    await sleep(20)
  }
}
