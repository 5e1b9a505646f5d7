import type { MarkdownRenderer } from 'vitepress'

/** Braces in the documents are text, not expressions of Vue. */
export function plainText(markdown: MarkdownRenderer): void {
  const { escapeHtml } = markdown.utils
  markdown.renderer.rules.code_inline = (tokens, index) =>
    `<code v-pre>${escapeHtml(tokens[index]!.content)}</code>`
  markdown.renderer.rules.text = (tokens, index) =>
    escapeHtml(tokens[index]!.content).replaceAll('{', '&#123;')
}
