/** Control, format and direction characters, line separators, and halves of surrogate pairs. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const UNPRINTABLE_IN_LINES = /[^\P{Cc}\n\t]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/**
 * Text of a peer for display. Characters that start a line, are invisible, change the direction of text or control a terminal
 * become `\uXXXX`: such text can neither forge a line of a log nor disguise a name. JSON stays the same JSON.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

/** As `printable`, for text of several lines, such as a stack: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, escaped)
}

function escaped(character: string): string {
  let text = ''
  for (let at = 0; at < character.length; at++) {
    text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  }
  return text
}
