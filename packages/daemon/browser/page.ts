// The page that browsers get at `/`. Its address after `#` says what it shows, so that links, history and bookmarks work.
import { ApiError, type Index, read } from './api.ts'
import { element, link, visible } from './elements.ts'
import { type HasPage, type Place, show, type View } from './views.ts'

const content = byId('content')
const views = byId('views')
const state = byId('state')
const search = byId('search') as HTMLFormElement
const prefix = byId('prefix') as HTMLInputElement

/** Numbers the views, so that a slow answer does not replace a later one. */
let latest = 0

function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no element ${id}`)
  return found
}

function place(): Place {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  const segments = path.split('/').filter(segment => segment !== '')
  return { segments: segments.map(decoded), query: new URLSearchParams(query) }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** @param isMove Whether the reader came here, and did not only ask for newer numbers: the focus then moves, too. */
async function draw(isMove: boolean): Promise<void> {
  const turn = ++latest
  content.setAttribute('aria-busy', 'true')
  const here = place()
  const view = await viewOf(here)
  if (turn !== latest) return
  content.replaceChildren(element('h1', {}, visible(view.title)), ...nodes(view))
  content.removeAttribute('aria-busy')
  document.title = `${visible(view.title)} - Gantry`
  state.textContent = `As of ${new Date().toLocaleTimeString()}.`
  if (isMove) content.focus()
}

async function viewOf(here: Place): Promise<View> {
  try {
    const index = await read<Index>('./')
    const hasPage: HasPage = path => index.pages.some(page => page.path === `/api/v1/${path}`)
    drawHeader(index, hasPage, here)
    return await show(here, index, hasPage)
  } catch (error) {
    const { code, message } = error instanceof ApiError ? error : new ApiError('INTERNAL', String(error))
    return {
      title: 'This could not be shown',
      content: [element('p', { class: 'bad' }, `${code}: ${visible(message)}`)],
    }
  }
}

function drawHeader({ role }: Index, hasPage: HasPage, { segments, query }: Place): void {
  byId('server').textContent = `Gantry ${role}`
  const lists = ['topics', 'groups', 'clients'].filter(hasPage)
  const links = ['', ...lists].map(list => {
    const made = link(list === '' ? [] : [list], list === '' ? 'Overview' : `${list[0]?.toUpperCase()}${list.slice(1)}`)
    if ((segments[0] ?? '') === list) made.setAttribute('aria-current', segments.length > 1 ? 'true' : 'page')
    return made
  })
  views.replaceChildren(...links)
  search.hidden = !hasPage('topics')
  if (document.activeElement !== prefix) prefix.value = segments[0] === 'topics' ? (query.get('prefix') ?? '') : ''
}

function nodes({ content }: View): ChildNode[] {
  return [...element('div', {}, content).childNodes]
}

search.addEventListener('submit', event => {
  event.preventDefault()
  location.hash = `#/topics?${new URLSearchParams({ prefix: prefix.value.trim() }).toString()}`
})
byId('refresh').addEventListener('click', () => void draw(false))
addEventListener('hashchange', () => void draw(true))
addEventListener('keydown', event => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return
  event.preventDefault()
  prefix.focus()
})
void draw(false)
