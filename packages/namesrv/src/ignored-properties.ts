/** Keys of Apache's files that have no meaning in a name server without a controller and an embedded client. */
export const ignoredProperties: ReadonlyMap<string, string> = new Map([
  ...keysOf(
    "belongs to Apache's embedded client, which this name server does not have",
    'clientWorkerThreads clientCallbackExecutorThreads clientOnewaySemaphoreValue clientAsyncSemaphoreValue ' +
      'connectTimeoutMillis channelNotActiveInterval scanAvailableNameSrv clientChannelMaxIdleTimeSeconds ' +
      'clientSocketSndBufSize clientSocketRcvBufSize clientPooledByteBufAllocatorEnable clientCloseSocketIfTimeout ' +
      'useTLS socksProxyConfig disableCallbackExecutor disableNettyWorkerGroup maxReconnectIntervalTimeSeconds ' +
      'enableReconnectForGoAway',
  ),
  ...keysOf(
    "belongs to Apache's controller, which this name server does not have",
    'controllerType controllerThreadPoolNums controllerRequestThreadPoolQueueCapacity controllerDLegerGroup ' +
      'controllerDLegerPeers controllerDLegerSelfId mappedFileSize controllerStorePath electMasterMaxRetryCount ' +
      'enableElectUncleanMaster processReadEvent notifyBrokerRoleChanged scanInactiveMasterInterval ' +
      'metricsExporterType metricsGrpcExporterTarget metricsGrpcExporterHeader metricGrpcExporterTimeOutInMills ' +
      'metricGrpcExporterIntervalInMills metricLoggingExporterIntervalInMills metricsPromExporterPort ' +
      'metricsPromExporterHost metricsLabel metricsInDelta jRaftElectionTimeoutMs jRaftScanWaitTimeoutMs ' +
      'jRaftSnapshotIntervalSecs jRaftGroupId jRaftServerId jRaftInitConf jRaftControllerRPCAddr',
  ),
])

function keysOf(because: string, keys: string): [string, string][] {
  return keys.split(' ').map(key => [key, because])
}
