/**
 * `false` in the production build, which replaces this file (`build.mjs`). There the options are not checked, and errors have no
 * sentences: the message is the code of the error. So write a sentence as `isDevelopment && 'The server ...'`.
 */
export const isDevelopment: boolean = true
