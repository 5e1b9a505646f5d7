import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [react()],
  test: {
    environment: 'happy-dom',
    // Testing Library unmounts after each test, and uses act(), if it finds these hooks.
    globals: true,
  },
})
