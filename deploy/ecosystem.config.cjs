// npm run build -w demo && pm2 start deploy/ecosystem.config.cjs       later: pm2 reload deploy/ecosystem.config.cjs
const { randomUUID } = require('node:crypto')

module.exports = {
  apps: [
    {
      name: 'broadcaster',
      script: '../demo/dist/server.mjs',
      cwd: __dirname,
      exec_mode: 'cluster',
      instances: 2,
      // An old process gets SIGINT only when its successor has sent 'ready', which it does when Redis is connected.
      wait_ready: true,
      listen_timeout: 30_000,
      // Longer than the drain. By default, PM2 kills after 1.6 s.
      kill_timeout: 30_000,
      env: {
        NODE_ENV: 'production',
        PORT: process.env.PORT ?? 3000,
        REDIS_URL: process.env.REDIS_URL ?? 'redis://localhost:6379',
        // All processes accept the tokens of each other.
        TOKEN_SECRET: process.env.TOKEN_SECRET ?? randomUUID(),
      },
    },
  ],
}
