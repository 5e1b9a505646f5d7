import { useChannel } from '@broadcaster/react'
import { useSyncExternalStore } from 'react'
import type { SymbolName } from '../../channels.ts'
import { useDemo } from '../page/demo.ts'
import { channelWord } from '../page/words.ts'

type Props = { symbol: SymbolName; isShown: boolean; onShow: () => void }

export function PriceRow({ symbol, isShown, onShow }: Props) {
  const { prices, ledger } = useDemo()
  // The handler gets every message, typed, outside rendering. The row is rendered ten times a second.
  const { status } = useChannel(`ticks:${symbol}`, {
    onMessage: (tick, { channel }) => {
      ledger.count(channel, tick)
      prices.record(symbol, tick.price, tick.n, tick.at)
    },
    // The chart begins with what the nodes still have.
    replay: 300,
    onGap: () => prices.gap(symbol),
  })
  const { price, change, n } = useSyncExternalStore(prices.subscribe, prices.getSnapshot)[symbol]
  const direction = change > 0 ? 'up' : change < 0 ? 'down' : 'same'

  return (
    <tr data-status={status}>
      <th scope="row">
        <button type="button" className="prices__name" aria-pressed={isShown} onClick={onShow}>
          <span className="prices__dot" aria-hidden="true" />
          {symbol}
          <span className="visually-hidden">, {channelWord[status]}</span>
        </button>
      </th>
      <td>{price?.toFixed(2) ?? '–'}</td>
      <td className="prices__change" data-direction={direction}>
        {price === null ? '–' : <Change change={change} />}
      </td>
      <td className="prices__wide prices__number">{n === 0 ? '–' : n.toLocaleString('en')}</td>
    </tr>
  )
}

/** The sign has a place of its own, so that the digits do not move. */
function Change({ change }: { change: number }) {
  const [sign, ...digits] = percent.formatToParts(change).map(({ value }) => value)
  const hasSign = sign === '+' || sign === '-'
  return (
    <>
      <span className="prices__sign">{hasSign && sign}</span>
      {(hasSign ? digits : [sign, ...digits]).join('')}
    </>
  )
}

const percent = new Intl.NumberFormat('en', {
  style: 'percent',
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: 'exceptZero',
})
