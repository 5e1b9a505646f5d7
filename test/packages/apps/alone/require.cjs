require('./tell.cjs')(require('@broadcaster/server').broadcaster)
