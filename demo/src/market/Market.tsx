import { lazy, Suspense, useState } from 'react'
import { symbols, type SymbolName } from '../../channels.ts'
import { Card } from '../page/Card.tsx'
import { PriceRow } from './PriceRow.tsx'
import { RateControl } from './RateControl.tsx'

const PriceChart = lazy(() => import('./PriceChart.tsx'))

/** Eight channels, each with the price of one good. */
export function Market() {
  const [shown, setShown] = useState<SymbolName>('coffee')

  return (
    <Card title="Market" part="market" className="market">
      <RateControl />
      <div className="market__chart">
        <Suspense>
          <PriceChart symbol={shown} />
        </Suspense>
      </div>
      <table className="prices">
        <caption className="visually-hidden">Prices. Choose one for the chart.</caption>
        <thead>
          <tr>
            <th scope="col">Channel</th>
            <th scope="col">Price</th>
            <th scope="col">Change</th>
            <th scope="col" className="prices__wide">
              Message no.
            </th>
          </tr>
        </thead>
        <tbody>
          {symbols.map((symbol) => (
            <PriceRow
              key={symbol}
              symbol={symbol}
              isShown={symbol === shown}
              onShow={() => setShown(symbol)}
            />
          ))}
        </tbody>
      </table>
    </Card>
  )
}
