// Express 4 is installed under this name, in addition to Express 5. The parts that the tests use have the same types.
declare module 'express4' {
  import express from 'express'
  export default express
}
