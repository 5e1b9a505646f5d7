import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // Serves the source of the workspaces, so an edit in client/ or react/ is visible at once.
  resolve: { conditions: ['@broadcaster/source', ...defaultClientConditions] },
  // Without this list, the first page load finds these one by one and reloads for each.
  optimizeDeps: {
    include: ['react', 'react-dom', 'react-dom/client', 'react/jsx-dev-runtime', 'uplot', 'valibot'],
  },
})
