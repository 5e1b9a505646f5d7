// Express 4 is installed beside Express 5, under this name. What the tests use of it has the same types.
declare module 'express4' {
  import express from 'express'
  export default express
}
