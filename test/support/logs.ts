import { until } from './waiting.ts'

export type LogLine = { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly text: string }

/** A logger with the interface of pino. It keeps all lines. */
export type Logs = {
  readonly logger: Record<LogLine['level'], (...args: unknown[]) => void>
  readonly lines: LogLine[]
  /** Warnings and errors that contain `part`, or all of them if there is no `part`. */
  loud(part?: string | RegExp): string[]
  /** Resolves with the first line that contains `part`. */
  waitFor(part: string | RegExp): Promise<string>
}

export function collectLogs(): Logs {
  const lines: LogLine[] = []
  const write =
    (level: LogLine['level']) =>
    (...args: unknown[]) =>
      void lines.push({ level, text: args.map(asText).join(' ') })
  const contains = (text: string, part?: string | RegExp) =>
    part === undefined || (typeof part === 'string' ? text.includes(part) : part.test(text))
  return {
    logger: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    lines,
    loud: (part) =>
      lines.flatMap(({ level, text }) =>
        (level === 'warn' || level === 'error') && contains(text, part) ? [text] : [],
      ),
    waitFor: async (part) =>
      (await until(`a log line with ${part}`, () => lines.find(({ text }) => contains(text, part))))!.text,
  }
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error)
    return `${value.message} ${value.cause instanceof Error ? value.cause.message : ''}`
  return JSON.stringify(value, (_, inner: unknown) => (inner instanceof Error ? inner.message : inner))
}
