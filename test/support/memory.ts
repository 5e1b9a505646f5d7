export type Memory = { readonly heap: number; readonly external: number; readonly resident: number }

export function memory(): Memory {
  const { heapUsed: heap, external, rss: resident } = process.memoryUsage()
  return { heap, external, resident }
}

/** Collects garbage several times: the first collection frees what handles and weak references still hold. */
export async function memoryInUse(): Promise<Memory> {
  for (let i = 0; i < 5; i++) {
    globalThis.gc!()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return memory()
}
