import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { Deployment } from 'kubernetes-models/apps/v1'
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Service } from 'kubernetes-models/v1'
import { parse, parseAllDocuments } from 'yaml'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { instructionsOf } from './dockerfile.ts'
import { valuesOf } from './unit.ts'

/** The files of `deploy/` agree with each other, with the demo and with the broadcaster. */

const root = join(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const models = { Deployment, PodDisruptionBudget, Service, Ingress }

const [, drain] = /DRAIN_MS = ([\d_]+)/.exec(read('demo/server.ts'))!
/**
 * The drain, two seconds for the clients that were asked last, five for a client that does not answer its close, and three for a
 * Redis that does not answer.
 */
const LONGEST_END_MS = Number(drain!.replaceAll('_', '')) + 2000 + 5000 + 3000

let server: TestServer
beforeAll(async () => {
  server = tidy(await startServer())
})
const statusOf = async (path: string) => (await fetch(server.origin + path)).status

describe('Dockerfile', () => {
  const last = instructionsOf(read('deploy/Dockerfile')).at(-1)!
  const argumentsOf = (name: string) => last.filter((one) => one.name === name).map((one) => one.text)

  it('starts Node itself, not as root, on the port that it says', () => {
    expect(argumentsOf('CMD')).toEqual(['["node", "server.mjs"]'])
    expect(argumentsOf('USER')).toEqual(['node'])
    const [environment] = argumentsOf('ENV')
    expect(environment).toBe(`NODE_ENV=production PORT=${argumentsOf('EXPOSE')[0]}`)
  })

  it('asks whether to restart', () => {
    const [, ...command] = /CMD \["node", "check.mjs", "(.*)"\]$/.exec(argumentsOf('HEALTHCHECK')[0]!)!
    expect(command).toEqual(['/broadcast/health/live'])
  })
})

it('check.mjs tells whether a path answers with 200', async () => {
  const { port } = new URL(server.origin)
  const check = (path: string, at = port) => {
    const child = spawn(process.execPath, [join(root, 'deploy/check.mjs'), path], {
      env: { ...process.env, NODE_OPTIONS: '', PORT: at },
    })
    return new Promise((resolve) => child.on('exit', resolve))
  }
  expect(await Promise.all([check('/broadcast/health'), check('/broadcast'), check('/', '1')])).toEqual([
    0, 1, 1,
  ])
})

describe('compose.yaml', () => {
  const { services } = parse(read('deploy/compose.yaml')) as {
    services: Record<string, Record<string, never>>
  }
  const nodes = [services['node1'], services['node2']] as unknown as {
    environment: { REDIS_URL: string }
    networks: { default: { aliases: string[] } }
    healthcheck: { test: string[] }
    stop_grace_period: string
  }[]

  it('has two nodes with a name that nginx knows, and waits for their drain', async () => {
    const nginx = read('deploy/nginx.conf')
    const [, name, port] = /http:\/\/(\w+):(\d+)/.exec(nginx)!
    expect(read('deploy/Dockerfile')).toContain(`PORT=${port}`)
    for (const node of nodes) {
      expect(node.networks.default.aliases).toEqual([name])
      expect(1000 * parseInt(node.stop_grace_period)).toBeGreaterThan(LONGEST_END_MS)
      expect(Object.keys(services)).toContain(new URL(node.environment.REDIS_URL).hostname)
      expect(node.healthcheck.test.slice(0, 3)).toEqual(['CMD', 'node', 'check.mjs'])
      expect(await statusOf(node.healthcheck.test[3]!)).toBe(200)
    }
    const { volumes, ports } = services['nginx'] as unknown as Record<'volumes' | 'ports', string[]>
    expect(volumes[0]!.split(':')[0]).toBe('./nginx.conf')
    expect(nginx).toContain(`listen ${ports[0]!.split(':')[1]};`)
  })
})

describe('kubernetes.yaml', () => {
  const objects = parseAllDocuments(read('deploy/kubernetes.yaml')).map((one) => one.toJS() as Manifest)
  const find = (kind: string) => objects.find((one) => one.kind === kind)!
  const deployment = find('Deployment').spec
  const pod = deployment.template.spec
  const [container] = pod.containers

  it('is valid by the schemas of Kubernetes', () => {
    expect(objects.map(({ kind }) => kind)).toEqual(Object.keys(models))
    for (const one of objects) new models[one.kind as keyof typeof models](one as never).validate()
    const probe = { ...container!.readinessProbe, periodSeconds: '5' }
    const wrong = { ...deployment.template.spec, containers: [{ ...container!, readinessProbe: probe }] }
    const template = { ...deployment.template, spec: wrong }
    const mistaken = { ...find('Deployment'), spec: { ...deployment, template } }
    expect(() => new models.Deployment(mistaken as never).validate()).toThrow(/periodSeconds must be integer/)
  })

  it('asks for readiness and liveness at paths and a port that exist', async () => {
    const { readinessProbe, livenessProbe, ports } = container!
    expect(await statusOf(readinessProbe.httpGet.path)).toBe(200)
    expect(await statusOf(livenessProbe.httpGet.path)).toBe(200)
    expect(readinessProbe.httpGet.path).toBe('/broadcast/health')
    expect(livenessProbe.httpGet.path).toBe('/broadcast/health/live')
    for (const probe of [readinessProbe, livenessProbe]) expect(probe.httpGet.port).toBe(ports[0]!.name)
    expect(read('deploy/Dockerfile')).toContain(`EXPOSE ${ports[0]!.containerPort}`)
  })

  it('leaves enough time for preStop and the drain, and preStop can be run', () => {
    const [command, seconds] = container!.lifecycle.preStop.exec.command
    const graceMs = 1000 * pod.terminationGracePeriodSeconds
    expect(graceMs).toBeGreaterThan(1000 * Number(seconds) + LONGEST_END_MS)
    expect(spawnSync(command!, ['0']).status).toBe(0)
  })

  it('connects Ingress, Service, Deployment and PodDisruptionBudget, and needs no sticky sessions', () => {
    const labels = deployment.template.metadata.labels
    expect(deployment.selector.matchLabels).toEqual(labels)
    expect(find('PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels)
    const service = find('Service')
    expect(service.spec.selector).toEqual(labels)
    expect(service.spec.ports[0]!.targetPort).toBe(container!.ports[0]!.name)
    expect(service.spec).not.toHaveProperty('sessionAffinity')
    const ingress = find('Ingress')
    const { backend } = ingress.spec.rules[0]!.http.paths[0]!
    const { name } = service.metadata
    expect(backend.service).toEqual({ name, port: { name: service.spec.ports[0]!.name } })
    expect(Object.keys(ingress.metadata.annotations!).join()).not.toMatch(/affinity|upstream-hash/)
    expect(deployment.replicas).toBeGreaterThan(1)
  })
})

it('ecosystem.config.cjs starts what the demo builds, waits until it is ready, and for its drain', () => {
  const { apps } = createRequire(import.meta.url)(join(root, 'deploy/ecosystem.config.cjs')) as {
    apps: Record<string, unknown>[]
  }
  expect(apps).toEqual([
    expect.objectContaining({
      script: '../demo/dist/server.mjs',
      cwd: join(root, 'deploy'),
      exec_mode: 'cluster',
      wait_ready: true,
    }),
  ])
  expect(apps[0]!['kill_timeout']).toBeGreaterThan(LONGEST_END_MS)
  expect(read('demo/build.mjs')).toContain("outExtension: { '.js': '.mjs' }")
})

it('broadcaster@.service waits for the drain, and asks a path that exists', async () => {
  const unit = read('deploy/broadcaster@.service')
  expect(1000 * Number(valuesOf(unit, 'TimeoutStopSec')[0])).toBeGreaterThan(LONGEST_END_MS)
  const [, path] = /http:\/\/127\.0\.0\.1:%i(\S+)$/.exec(valuesOf(unit, 'ExecStartPost')[0]!)!
  expect(await statusOf(path!)).toBe(200)
})

/** Of an object of Kubernetes, what these tests read. */
interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> }
  readonly spec: {
    readonly replicas: number
    readonly selector: { readonly matchLabels: Record<string, string> }
    readonly ports: readonly { readonly name: string; readonly targetPort: string }[]
    readonly rules: readonly {
      readonly http: { readonly paths: readonly { readonly backend: { readonly service: object } }[] }
    }[]
    readonly template: {
      readonly metadata: { readonly labels: Record<string, string> }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly containers: readonly {
          readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
          readonly readinessProbe: Probe
          readonly livenessProbe: Probe
          readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: string[] } } }
        }[]
      }
    }
  }
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}
