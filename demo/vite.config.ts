import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // The workspaces are served from their source: an edit in client/ or react/ shows at once.
  resolve: { conditions: ['@broadcaster/source', ...defaultClientConditions] },
  // Named, or the first page load would find them one by one and reload for each.
  optimizeDeps: { include: ['react', 'react-dom/client', 'react/jsx-dev-runtime'] },
})
