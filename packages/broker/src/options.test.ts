import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findOptions } from '@gantrymq/daemon'
import { readProperties } from '@gantrymq/remoting'
import { brokerOptions } from './options.ts'

/** Every key that Apache 4.9.8 or 5.5.0 reads from broker.conf. */
const APACHE_KEYS = `
  accessMessageInMemoryHotRatio accessMessageInMemoryMaxRatio accountStatsEnable accountStatsPrintZeroValues
  ackMessageThreadPoolNums ackThreadPoolQueueCapacity aclCacheExpiredSecond aclCacheMaxNum aclCacheRefreshSecond
  aclEnable adminBrokerThreadPoolNums adminBrokerThreadPoolQueueCapacity allAckInSyncStateSet
  allowRecallWhenBrokerNotWriteable appendAckAsync appendCkAsync asyncLearner asyncSendEnable authConfigPath
  authenticationEnabled authenticationMetadataProvider authenticationProvider authenticationStrategy
  authenticationWhitelist authorizationEnabled authorizationMetadataProvider authorizationProvider
  authorizationStrategy authorizationWhitelist autoCreateSubscriptionGroup autoCreateTopicEnable
  autoDeleteUnusedStats autoMessageVersionOnTopicLen batchDispatchRequestThreadPoolNums bindAddress
  bitMapLengthConsumeQueueExt bottomMostCompressionTypeForConsumeQueueStore broadcastOffsetExpireMaxSecond
  broadcastOffsetExpireSecond brokerClusterName brokerConfigPath brokerElectionPriority brokerFastFailureEnable
  brokerHeartbeatInterval brokerIP1 brokerIP2 brokerId brokerName brokerNotActiveTimeoutMillis brokerPermission
  brokerRole brokerTopicEnable cgColdReadThreshold channelExpiredTimeout channelNotActiveInterval
  checkCRCOnRecover checkSyncStateSetPeriod cleanFileForciblyEnable cleanOfflineBrokerInterval
  cleanResourceInterval cleanRocksDBDirtyCQIntervalMin cleanSwapedMapInterval clearRetryTopicWhenDeleteTopic
  clientAsyncSemaphoreValue clientCallbackExecutorThreads clientChannelMaxIdleTimeSeconds
  clientCloseSocketIfTimeout clientManageThreadPoolNums clientManagerThreadPoolQueueCapacity
  clientOnewaySemaphoreValue clientPooledByteBufAllocatorEnable clientSocketRcvBufSize clientSocketSndBufSize
  clientWorkerThreads clusterTopicEnable coldCtrStrategyEnable coldDataFlowControlEnable coldDataScanEnable
  commercialBaseCount commercialBigCount commercialEnable commercialSizePerMsg commercialTimerCount
  commercialTransCount commitCommitLogLeastPages commitCommitLogThoroughInterval commitIntervalCommitLog
  commitLogForceSwapMapInterval commitLogSwapMapInterval commitLogSwapMapReserveFileNum
  compactionCqMappedFileSize compactionMappedFileSize compactionScheduleInternal compactionThreadNum
  compatibleWithOldNameSrv compressedRegister configBlackList configManagerVersion connectTimeoutMillis
  consumerFallbehindThreshold consumerManageThreadPoolNums consumerManagerThreadPoolQueueCapacity
  consumerOffsetUpdateVersionStep controllerAddr controllerHeartBeatTimeoutMills
  correctLogicMinOffsetForceInterval correctLogicMinOffsetSleepInterval dataReadAheadEnable debugLockEnable
  defaultMessageRequestMode defaultPopShareQueueNum defaultQueryMaxNum defaultTopicQueueNums
  delayOffsetUpdateVersionStep deleteCommitLogFilesInterval deleteConsumeQueueFilesInterval deleteFileBatchMax
  deleteWhen destroyMapedFileIntervalForcibly disableCallbackExecutor disableConsumeIfConsumerReadSlowly
  disableNettyWorkerGroup disappearTimeAfterStart diskFallRecorded diskMaxUsedSpaceRatio
  diskSpaceCleanForciblyRatio diskSpaceWarningLevelRatio dispatchCqCacheNum dispatchCqThreads
  dispatchFromSenderThread duplicationEnable enableAsyncReput enableAutoInSyncReplicas enableBatchPush
  enableBroadcastOffsetStore enableBuildConsumeQueueConcurrently enableCalcFilterBitMap enableCleanExpiredOffset
  enableCompaction enableConnectionMetrics enableConsumeQueueExt enableControllerMode enableCreateSysGroup
  enableDLegerCommitLog enableDetailStat enableFastChannelEventProcess enableLagAndDlqMetrics
  enableLiteEventMode enableLitePopLog enableLmq enableLmqStats enableMessageStoreMetrics enableMixedMessageType
  enableMultiDispatch enableNetWorkFlowControl enableNotifyAfterPopOrderLockRelease
  enableNotifyBeforePopCalculateLag enablePopBatchAck enablePopBufferMerge enablePopLog
  enablePopMessageThreshold enablePopMetrics enablePropertyFilter enableReconnectForGoAway
  enableRegisterProducer enableRemoteEscape enableRemotingMetrics enableRequestMetrics enableRetryTopicV2
  enableRocksDBLog enableScheduleAsyncDeliver enableScheduleMessageStats enableShutdownGracefully
  enableSingleTopicRegister enableSkipLongAwaitingAck enableSlaveActingMaster enableSplitMetadata
  enableSplitRegistration enableStatsMetrics enableTransactionMetrics enabledAppendPropCRC
  endTransactionPoolQueueCapacity endTransactionThreadPoolNums estimateAccumulation expectConsumerNumUseFilter
  fastFailIfNoBufferInStorePool fetchControllerAddrByDnsLookup fetchNameSrvAddrByDnsLookup
  fetchNamesrvAddrByAddressServer fetchNamesrvAddrInterval fileReservedTime filterDataCleanTimeSpan
  filterServerNums filterSupportRetry flushCommitLogLeastPages flushCommitLogThoroughInterval
  flushCommitLogTimed flushConsumeQueueLeastPages flushConsumeQueueThoroughInterval
  flushConsumerOffsetHistoryInterval flushConsumerOffsetInterval flushDelayOffsetInterval flushDiskType
  flushIntervalCommitLog flushIntervalConsumeQueue flushLeastPagesWhenWarmMapedFile forceRegister
  forceVerifyPropCRC forwardTimeout globalColdReadThreshold haFlowControlEnable haHousekeepingInterval
  haListenPort haMasterAddress haMaxGapNotInSync haMaxTimeSlaveNotCatchup haSendHeartbeatInterval
  haSlaveFallbehindMax haTransferBatchSize heartbeatThreadPoolNums heartbeatThreadPoolQueueCapacity
  highSpeedMode inSyncReplicas initAuthenticationUser initPopOffsetByCheckMsgInMem
  innerClientAuthenticationCredentials isScanAvailableNameSrv isolateLogEnable listenPort liteEventCheckInterval
  liteEventFullDispatchDelayTime liteEventFullDispatchDelayTimeForWildcardGroup liteLagCountMetricsEnable
  liteLagLatencyCollectEnable liteLagLatencyMetricsEnable liteLagLatencyTopK litePullMessageEnable
  litePullMessageThreadPoolNums litePullThreadPoolQueueCapacity liteSubscriptionCheckInterval
  liteSubscriptionCheckTimeoutMills liteTtlCheckInterval loadBalancePollNameServerInterval
  loadBalanceProcessorThreadPoolNums loadBalanceThreadPoolQueueCapacity lockInStrictMode
  logicQueueForceSwapMapInterval logicQueueSwapMapInterval logicQueueSwapMapReserveFileNum
  logicalDiskSpaceCleanForciblyThreshold longPollingEnable mappedFileSizeCommitLog mappedFileSizeConsumeQueue
  mappedFileSizeConsumeQueueExt mappedFileSizeTimerLog mappedFileSwapEnable mapperFileSizeBatchConsumeQueue
  maxAsyncPutMessageRequests maxBatchDeleteFilesNum maxChecksumRange maxClientEventCount maxConsumeQueueScan
  maxDelayTime maxErrorRateOfBloomFilter maxFilterMessageSize maxHaTransferByteInSecond maxHashSlotNum
  maxIndexNum maxLiteSubscriptionCount maxLmqConsumeQueueNum maxMessageFilterNumForNotification maxMessageSize
  maxMsgsNumBatch maxOffsetMapSize maxPopPollingSize maxReconnectIntervalTimeSeconds maxRecoveryCommitlogFiles
  maxSlaveResendLength maxStatsIdleTimeInMinutes maxTopicLength maxTransferBytesOnMessageInDisk
  maxTransferBytesOnMessageInMemory maxTransferCountOnMessageInDisk maxTransferCountOnMessageInMemory
  memTableFlushIntervalMs messageDelayLevel messageIndexEnable messageIndexSafe messageStorePlugIn
  metricGrpcExporterIntervalInMills metricGrpcExporterTimeOutInMills metricLoggingExporterIntervalInMills
  metricsExportBatchMaxDataPoints metricsExporterType metricsGrpcExporterHeader metricsGrpcExporterTarget
  metricsInDelta metricsLabel metricsOtelCardinalityLimit metricsPromExporterHost metricsPromExporterPort
  migrateAuthFromV1Enabled minInSyncReplicas minLiteTTl msgTraceTopicName namesrvAddr
  notifyConsumerIdsChangedEnable offsetCheckInSlave osPageCacheBusyTimeOutMills
  persistConsumerOffsetIncrementally popCkMaxBufferSize popCkOffsetMaxQueueSize popCkStayBufferTime
  popCkStayBufferTimeOut popConsumerFSServiceInit popConsumerKVServiceEnable popConsumerKVServiceInit
  popConsumerKVServiceLog popFromRetryProbability popFromRetryProbabilityForPriority popInflightMessageThreshold
  popLongPollingForceNotifyInterval popPollingMapExpireTimeSeconds popPollingMapSize popPollingSize
  popResponseReturnActualRetryTopic popReviveConcurrency popReviveMaxAttemptTimes popReviveMaxReturnSizePerRead
  popReviveSkipIfGroupAbsent preferredLeaderId printChannelGroups printChannelGroupsMinNum priorityOrderAsc
  processReplyMessageThreadPoolNums pullBatchMaxMessageCount pullMessageThreadPoolNums
  pullThreadPoolQueueCapacity putConsumeQueueDataByFileChannel putMessageFutureThreadPoolNums putMessageTimeout
  putMsgIndexHightWater putThreadPoolQueueCapacity queryMessageThreadPoolNums queryThreadPoolQueueCapacity
  readOnlyCommitLogStorePaths readUnCommitted realTimeNotifyConsumerChange realTimePersistRocksDBConfig
  recallMessageEnable recheckReputOffsetFromCq recoverConcurrently recoverThreadPoolNums
  redeleteHangedFileInterval regionId registerBrokerTimeoutMills registerNameServerPeriod
  rejectPullConsumerEnable rejectTransactionMessage replicasPerDiskPartition replyThreadPoolQueueCapacity
  retrieveMessageFromPopRetryTopicV1 reviveAckWaitMs reviveInterval reviveMaxSlow reviveQueueNum reviveScanTime
  rocketmqHome rocksdbCQDoubleWriteEnable rocksdbCompressionType rocksdbFlushWalFrequency
  rocksdbWalFileRollingThreshold sampleCountThreshold sampleSteps scanAvailableNameSrv
  scheduleAsyncDeliverMaxPendingLimit scheduleAsyncDeliverMaxResendNum2Blocked searchBcqByCacheEnable
  sendHeartbeatTimeoutMillis sendMessageThreadPoolNums sendThreadPoolQueueCapacity serverAsyncSemaphoreValue
  serverCallbackExecutorThreads serverChannelMaxIdleTimeSeconds serverLoadBalancerEnable
  serverNettyWorkerGroupEnable serverOnewaySemaphoreValue serverPooledByteBufAllocatorEnable
  serverSelectorThreads serverSocketBacklog serverSocketRcvBufSize serverSocketSndBufSize serverWorkerThreads
  shortPollingTimeMills shutdownWaitTimeSeconds skipPreOnline skipWhenCKRePutReachMaxTimes slaveReadEnable
  slaveTimeout socksProxyConfig spinLockCollisionRetreatOptimalDegree splitMetadataSize splitRegistrationSize
  startAcceptSendRequestTimeStamp statRocksDBCQIntervalSec statefulAuthenticationCacheExpiredSecond
  statefulAuthenticationCacheMaxNum statefulAuthorizationCacheExpiredSecond statefulAuthorizationCacheMaxNum
  storePathBrokerIdentity storePathCommitLog storePathDLedgerCommitLog storePathEpochFile storePathRootDir
  storeReplyMessageEnable storeType subscriptionExpiredTimeout syncBrokerMemberGroupPeriod
  syncBrokerMetadataPeriod syncControllerMetadataPeriod syncFlushTimeout syncFromLastFile
  syncMasterFlushOffsetWhenStartup timerColdDataCheckIntervalMs timerCongestNumEachSlot timerEnableCheckMetrics
  timerEnableRetryUntilSuccess timerFlushIntervalMs timerGetMessageThreadNum timerInterceptDelayLevel
  timerMaxDelaySec timerMetricSmallThreshold timerPrecisionMs timerProgressLogIntervalMs
  timerPutMessageThreadNum timerRollWindowSlot timerSkipUnknownError timerStopEnqueue timerWheelEnable
  topicQueueLockNum totalReplicas traceOn traceTopicEnable transactionCheckInterval transactionCheckMax
  transactionCheckRocksdbCoreThreads transactionCheckRocksdbMaxThreads transactionCheckRocksdbQueueCapacity
  transactionMetricFlushInterval transactionOpBatchInterval transactionOpMsgMaxSize transactionTimeOut
  transferMsgByHeap transientStorePoolEnable transientStorePoolSize travelCqFileNumWhenGetMessage
  updateNameServerAddrPeriod useABSLock useEpollNativeSelector useMessageFilterForNotification
  usePIDColdCtrStrategy useReentrantLockWhenPutMessage useSeparateRetryQueue useServerSideResetOffset
  useSingleRocksDBForAllConfigs useStaticSubscription useTLS userCacheExpiredSecond userCacheMaxNum
  userCacheRefreshSecond validateSystemTopicWhenUpdateTopic waitTimeMillsInAckQueue
  waitTimeMillsInAdminBrokerQueue waitTimeMillsInHeartbeatQueue waitTimeMillsInLitePullQueue
  waitTimeMillsInPullQueue waitTimeMillsInSendQueue waitTimeMillsInTransactionQueue wakeCommitWhenPutMessage
  wakeFlushWhenPutMessage warmMapedFileEnable writeBufferHighWaterMark writeBufferLowWaterMark
`
  .trim()
  .split(/\s+/)

test('every key of a broker.conf of Apache is an option or has a reason why it has no effect', () => {
  const missing = APACHE_KEYS.filter(
    key => brokerOptions.ofProperty(key) === undefined && !brokerOptions.ignored.has(key),
  )
  assert.deepEqual(missing, [])
})

test('no key is both an option and without effect', () => {
  const both = [...brokerOptions.ignored.keys()].filter(key => brokerOptions.ofProperty(key) !== undefined)
  assert.deepEqual(both, [])
})

function read(text: string) {
  const entries = readProperties(Buffer.from(text))
  return findOptions(brokerOptions, { file: { path: 'broker.conf', entries }, home: '/home/me' })
}

test('the broker.conf that Apache ships works unchanged', () => {
  const text = `brokerClusterName = DefaultCluster
brokerName = broker-a
brokerId = 0
deleteWhen = 04
fileReservedTime = 48
brokerRole = ASYNC_MASTER
flushDiskType = ASYNC_FLUSH
`
  const { options, problems } = read(text)
  assert.deepEqual(problems, [])
  assert.equal(options.brokerName, 'broker-a')
  assert.equal(options.fileReservedTime, 48)
  assert.equal(options.storePathRootDir, '/home/me/store')
})

test('a setting that would leave the broker open, or without replicas that the operator counts on, ends the start', () => {
  for (const line of [
    'aclEnable=true',
    'authenticationEnabled=true',
    'authorizationEnabled=true',
    'brokerRole=SLAVE',
    'enableDLegerCommitLog=true',
    'enableControllerMode=true',
    'enablePropertyFilter=true',
  ]) {
    assert.equal(read(line).problems[0]?.level, 'error', line)
  }
})

test('a key without effect is reported with its reason', () => {
  assert.match(
    read('sendMessageThreadPoolNums=4').problems[0]?.text ?? '',
    /sendMessageThreadPoolNums has no effect: it sets threads/,
  )
  assert.match(
    read('brokerRole=SYNC_MASTER').problems[0]?.text ?? '',
    /brokerRole=SYNC_MASTER has no effect: there is no replication/,
  )
})

test('a broker and a cluster need a name', () => {
  for (const line of ['brokerName=', 'brokerClusterName= ']) {
    assert.match(read(line).problems[0]?.text ?? '', /it must be text that is not empty/)
  }
})

test('what is no list of addresses of name servers ends the start, as in Apache', () => {
  for (const value of ['localhost', 'localhost:', ':9876', '10.0.0.1:0', '10.0.0.1:65536', '10.0.0.1:9876;b', ';']) {
    assert.equal(read(`namesrvAddr=${value}`).problems[0]?.level, 'error', value)
  }
  for (const value of ['10.0.0.1:9876', 'ns-1:9876;ns-2:9876', '[::1]:9876', 'http://ns.example:9876']) {
    assert.deepEqual(read(`namesrvAddr=${value}`).problems, [])
  }
})

test('capitals in a row are one word of a flag and a variable', () => {
  assert.equal(brokerOptions.flag('brokerIP1'), 'broker-ip1')
  assert.equal(brokerOptions.variable('brokerIP1'), 'GANTRY_BROKER_IP1')
  assert.equal(brokerOptions.flag('fetchNamesrvAddrByAddressServer'), 'fetch-namesrv-addr-by-address-server')
})
