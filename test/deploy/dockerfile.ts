export interface Instruction {
  readonly name: string
  readonly text: string
}

/** The instructions of each stage of a Dockerfile, in order. */
export function instructionsOf(dockerfile: string): Instruction[][] {
  const stages: Instruction[][] = []
  for (const line of dockerfile.replaceAll('\\\n', ' ').split('\n')) {
    const [, name, text] = /^([A-Z]+)\s+(.*?)\s*$/.exec(line) ?? []
    if (name === undefined) continue
    if (name === 'FROM') stages.push([])
    stages.at(-1)!.push({ name, text: text! })
  }
  return stages
}
