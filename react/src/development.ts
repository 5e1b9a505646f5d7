/** `false` in the production build, which replaces this file (`build.mjs`). There errors have no hints. */
export const isDevelopment: boolean = true
