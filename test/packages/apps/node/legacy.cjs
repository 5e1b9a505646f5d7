// A library that knows only require().
for (const name of ['protocol', 'client', 'react', 'server']) exports[name] = require(`@broadcaster/${name}`)
