// For `npm start`, in every shell: NODE_ENV is set before other modules are loaded.
process.env.NODE_ENV = 'production'
await import('./server.js')
