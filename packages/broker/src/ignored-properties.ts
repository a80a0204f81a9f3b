/** Keys of Apache's files that have no effect here, each with the reason, which completes "it ...". */
export const ignoredProperties: ReadonlyMap<string, string> = new Map([
  ...keysOf(
    'sets threads of the JVM, or requests that wait for them; here one thread answers all requests',
    'sendMessageThreadPoolNums putMessageFutureThreadPoolNums pullMessageThreadPoolNums litePullMessageThreadPoolNums ' +
      'ackMessageThreadPoolNums processReplyMessageThreadPoolNums queryMessageThreadPoolNums adminBrokerThreadPoolNums ' +
      'clientManageThreadPoolNums consumerManageThreadPoolNums loadBalanceProcessorThreadPoolNums heartbeatThreadPoolNums ' +
      'recoverThreadPoolNums recoverConcurrently endTransactionThreadPoolNums ' +
      'putThreadPoolQueueCapacity pullThreadPoolQueueCapacity litePullThreadPoolQueueCapacity ackThreadPoolQueueCapacity ' +
      'replyThreadPoolQueueCapacity queryThreadPoolQueueCapacity clientManagerThreadPoolQueueCapacity ' +
      'consumerManagerThreadPoolQueueCapacity heartbeatThreadPoolQueueCapacity endTransactionPoolQueueCapacity ' +
      'adminBrokerThreadPoolQueueCapacity loadBalanceThreadPoolQueueCapacity ' +
      'waitTimeMillsInLitePullQueue waitTimeMillsInHeartbeatQueue ' +
      'waitTimeMillsInTransactionQueue waitTimeMillsInAckQueue waitTimeMillsInAdminBrokerQueue asyncSendEnable ' +
      'enableFastChannelEventProcess transactionCheckRocksdbCoreThreads transactionCheckRocksdbMaxThreads ' +
      'transactionCheckRocksdbQueueCapacity',
  ),
  ...keysOf(
    "tunes memory-mapped files, threads or locks of Apache's store, which this store does not have",
    'accessMessageInMemoryHotRatio accessMessageInMemoryMaxRatio batchDispatchRequestThreadPoolNums ' +
      'cleanSwapedMapInterval cleanResourceInterval commitCommitLogLeastPages ' +
      'commitCommitLogThoroughInterval commitIntervalCommitLog commitLogForceSwapMapInterval commitLogSwapMapInterval ' +
      'commitLogSwapMapReserveFileNum correctLogicMinOffsetForceInterval correctLogicMinOffsetSleepInterval ' +
      'dataReadAheadEnable debugLockEnable deleteCommitLogFilesInterval deleteConsumeQueueFilesInterval ' +
      'deleteFileBatchMax destroyMapedFileIntervalForcibly diskFallRecorded dispatchCqCacheNum dispatchCqThreads ' +
      'dispatchFromSenderThread enableAsyncReput enableBuildConsumeQueueConcurrently fastFailIfNoBufferInStorePool ' +
      'flushCommitLogLeastPages flushCommitLogThoroughInterval flushCommitLogTimed flushConsumeQueueLeastPages ' +
      'flushConsumeQueueThoroughInterval flushIntervalConsumeQueue flushLeastPagesWhenWarmMapedFile ' +
      'logicQueueForceSwapMapInterval logicQueueSwapMapInterval logicQueueSwapMapReserveFileNum ' +
      'logicalDiskSpaceCleanForciblyThreshold mappedFileSwapEnable maxAsyncPutMessageRequests maxBatchDeleteFilesNum ' +
      'maxRecoveryCommitlogFiles osPageCacheBusyTimeOutMills putConsumeQueueDataByFileChannel putMessageTimeout ' +
      'putMsgIndexHightWater readUnCommitted recheckReputOffsetFromCq redeleteHangedFileInterval sampleCountThreshold ' +
      'sampleSteps searchBcqByCacheEnable spinLockCollisionRetreatOptimalDegree topicQueueLockNum transferMsgByHeap ' +
      'transientStorePoolEnable transientStorePoolSize travelCqFileNumWhenGetMessage useABSLock ' +
      'useReentrantLockWhenPutMessage wakeCommitWhenPutMessage wakeFlushWhenPutMessage warmMapedFileEnable ' +
      'maxConsumeQueueScan pullBatchMaxMessageCount checkCRCOnRecover ' +
      'messageIndexSafe maxFilterMessageSize enableCleanExpiredOffset enabledAppendPropCRC ' +
      'forceVerifyPropCRC maxTopicLength autoMessageVersionOnTopicLen readOnlyCommitLogStorePaths replicasPerDiskPartition',
  ),
  ...keysOf(
    'belongs to replication, which this broker does not have',
    'allAckInSyncStateSet asyncLearner brokerElectionPriority brokerHeartbeatInterval brokerNotActiveTimeoutMillis ' +
      'checkSyncStateSetPeriod compatibleWithOldNameSrv controllerAddr controllerHeartBeatTimeoutMills duplicationEnable ' +
      'enableAutoInSyncReplicas enableRemoteEscape enableSlaveActingMaster fetchControllerAddrByDnsLookup forwardTimeout ' +
      'haFlowControlEnable haHousekeepingInterval haListenPort haMasterAddress haMaxGapNotInSync haMaxTimeSlaveNotCatchup ' +
      'haSendHeartbeatInterval haSlaveFallbehindMax haTransferBatchSize inBrokerContainer inSyncReplicas ' +
      'lockInStrictMode maxChecksumRange maxHaTransferByteInSecond maxSlaveResendLength minInSyncReplicas ' +
      'offsetCheckInSlave preferredLeaderId sendHeartbeatTimeoutMillis skipPreOnline slaveTimeout ' +
      'storePathBrokerIdentity storePathDLedgerCommitLog storePathEpochFile syncBrokerMemberGroupPeriod ' +
      'syncBrokerMetadataPeriod syncControllerMetadataPeriod syncFromLastFile syncMasterFlushOffsetWhenStartup ' +
      'totalReplicas dLegerGroup dLegerPeers dLegerSelfId',
  ),
  ...keysOf(
    'belongs to pop consumption, which keeps its state in memory here',
    'appendAckAsync appendCkAsync clearRetryTopicWhenDeleteTopic ' +
      'enableNotifyAfterPopOrderLockRelease enableNotifyBeforePopCalculateLag enablePopBatchAck enablePopBufferMerge ' +
      'enablePopLog enablePopMessageThreshold enableSkipLongAwaitingAck initPopOffsetByCheckMsgInMem ' +
      'loadBalancePollNameServerInterval maxMessageFilterNumForNotification maxPopPollingSize popCkMaxBufferSize ' +
      'popCkOffsetMaxQueueSize popCkStayBufferTime popCkStayBufferTimeOut popConsumerFSServiceInit ' +
      'popConsumerKVServiceEnable popConsumerKVServiceInit popConsumerKVServiceLog ' +
      'popFromRetryProbabilityForPriority popLongPollingForceNotifyInterval ' +
      'popPollingMapExpireTimeSeconds popPollingMapSize popPollingSize popResponseReturnActualRetryTopic ' +
      'popReviveConcurrency popReviveMaxAttemptTimes popReviveMaxReturnSizePerRead popReviveSkipIfGroupAbsent ' +
      'priorityOrderAsc retrieveMessageFromPopRetryTopicV1 reviveAckWaitMs reviveInterval reviveMaxSlow reviveQueueNum ' +
      'reviveScanTime serverLoadBalancerEnable skipWhenCKRePutReachMaxTimes useMessageFilterForNotification ' +
      'useSeparateRetryQueue',
  ),
  ...keysOf(
    'belongs to messages that are delivered at any time (5.x), whose times this broker keeps in memory only',
    'allowRecallWhenBrokerNotWriteable disappearTimeAfterStart mappedFileSizeTimerLog ' +
      'timerColdDataCheckIntervalMs timerCongestNumEachSlot timerEnableCheckMetrics timerEnableDisruptor ' +
      'timerEnableRetryUntilSuccess timerFlushIntervalMs timerGetMessageThreadNum timerInterceptDelayLevel ' +
      'timerMetricSmallThreshold timerPrecisionMs timerProgressLogIntervalMs timerPutMessageThreadNum ' +
      'timerRollWindowSlot timerSkipUnknownError timerStopDequeue timerStopEnqueue timerWarmEnable timerWheelEnable ' +
      'timerCheckMetricsWhen',
  ),
  ...keysOf(
    'belongs to filters in SQL92, which this broker does not have',
    'bitMapLengthConsumeQueueExt enableCalcFilterBitMap enableConsumeQueueExt expectConsumerNumUseFilter ' +
      'filterDataCleanTimeSpan filterSupportRetry mappedFileSizeConsumeQueueExt maxErrorRateOfBloomFilter',
  ),
  ...keysOf(
    'belongs to queues in RocksDB, to lite topics, to compaction or to batches in queues, which this broker does not have',
    'bottomMostCompressionTypeForConsumeQueueStore cleanRocksDBDirtyCQIntervalMin compactionCqMappedFileSize ' +
      'compactionMappedFileSize compactionScheduleInternal compactionThreadNum configManagerVersion enableBatchPush ' +
      'isEnableBatchPush enableCompaction enableLmq enableLmqStats enableMultiDispatch enableLiteEventMode ' +
      'enableLitePopLog enableRocksDBLog liteEventCheckInterval liteEventFullDispatchDelayTime ' +
      'liteEventFullDispatchDelayTimeForWildcardGroup liteLagCountMetricsEnable liteLagLatencyCollectEnable ' +
      'liteLagLatencyMetricsEnable liteLagLatencyTopK liteSubscriptionCheckInterval liteSubscriptionCheckTimeoutMills ' +
      'liteTtlCheckInterval mapperFileSizeBatchConsumeQueue maxClientEventCount maxLiteSubscriptionCount ' +
      'maxLmqConsumeQueueNum maxOffsetMapSize memTableFlushIntervalMs minLiteTTl persistConsumerOffsetIncrementally ' +
      'realTimePersistRocksDBConfig rocksdbCQDoubleWriteEnable rocksdbCompressionType rocksdbFlushWalFrequency ' +
      'rocksdbWalFileRollingThreshold statRocksDBCQIntervalSec storeType useSingleRocksDBForAllConfigs',
  ),
  ...keysOf(
    'belongs to access control, which this broker does not have',
    'aclCacheExpiredSecond aclCacheMaxNum aclCacheRefreshSecond authConfigPath authenticationMetadataProvider ' +
      'authenticationProvider authenticationStrategy authenticationWhitelist authorizationMetadataProvider ' +
      'authorizationProvider authorizationStrategy authorizationWhitelist initAuthenticationUser ' +
      'migrateAuthFromV1Enabled statefulAuthenticationCacheExpiredSecond ' +
      'statefulAuthenticationCacheMaxNum statefulAuthorizationCacheExpiredSecond statefulAuthorizationCacheMaxNum ' +
      'userCacheExpiredSecond userCacheMaxNum userCacheRefreshSecond',
  ),
  ...keysOf(
    "belongs to the connections that Apache's broker opens; here they need no settings",
    'channelNotActiveInterval clientAsyncSemaphoreValue clientCallbackExecutorThreads clientChannelMaxIdleTimeSeconds ' +
      'clientCloseSocketIfTimeout clientOnewaySemaphoreValue clientPooledByteBufAllocatorEnable clientSocketRcvBufSize ' +
      'clientSocketSndBufSize clientWorkerThreads connectTimeoutMillis disableCallbackExecutor disableNettyWorkerGroup ' +
      'enableReconnectForGoAway isScanAvailableNameSrv maxReconnectIntervalTimeSeconds scanAvailableNameSrv ' +
      'socksProxyConfig useTLS fetchNameSrvAddrByDnsLookup fetchNamesrvAddrInterval enableSingleTopicRegister ' +
      'enableSplitMetadata enableSplitRegistration splitMetadataSize splitRegistrationSize cleanOfflineBrokerInterval',
  ),
  ...keysOf(
    "belongs to Apache's own statistics, exporters or logs; metrics are at /metrics",
    'accountStatsEnable accountStatsPrintZeroValues autoDeleteUnusedStats commercialBaseCount commercialBigCount ' +
      'commercialEnable commercialSizePerMsg commercialTimerCount commercialTransCount enableConnectionMetrics ' +
      'enableDetailStat enableLagAndDlqMetrics enableMessageStoreMetrics enablePopMetrics enableRemotingMetrics ' +
      'enableRequestMetrics enableScheduleMessageStats enableStatsMetrics enableTransactionMetrics estimateAccumulation ' +
      'isolateLogEnable maxStatsIdleTimeInMinutes metricGrpcExporterIntervalInMills metricGrpcExporterTimeOutInMills ' +
      'metricLoggingExporterIntervalInMills metricsExportBatchMaxDataPoints metricsExporterType ' +
      'metricsGrpcExporterHeader metricsGrpcExporterTarget metricsInDelta metricsLabel metricsOtelCardinalityLimit ' +
      'metricsPromExporterHost metricsPromExporterPort printChannelGroups printChannelGroupsMinNum ' +
      'transactionMetricFlushInterval',
  ),
  ...keysOf(
    'limits how fast cold data is read in Apache; here all reads of cold data share a small number of reads in flight',
    'cgColdReadThreshold coldCtrStrategyEnable coldDataFlowControlEnable coldDataScanEnable globalColdReadThreshold ' +
      'usePIDColdCtrStrategy enableNetWorkFlowControl',
  ),
  ...keysOf(
    'has no meaning in this broker',
    'broadcastOffsetExpireMaxSecond broadcastOffsetExpireSecond channelExpiredTimeout configName ' +
      'consumerFallbehindThreshold consumerOffsetUpdateVersionStep delayOffsetUpdateVersionStep ' +
      'disableConsumeIfConsumerReadSlowly enableBroadcastOffsetStore enableRegisterProducer enableScheduleAsyncDeliver ' +
      'filterServerNums flushConsumerOffsetHistoryInterval highSpeedMode maxDelayTime messageStorePlugIn ' +
      'scheduleAsyncDeliverMaxPendingLimit scheduleAsyncDeliverMaxResendNum2Blocked subscriptionExpiredTimeout ' +
      'transactionOpBatchInterval transactionOpMsgMaxSize useStaticSubscription clusterName',
  ),
])

function keysOf(because: string, keys: string): [string, string][] {
  return keys.split(' ').map(key => [key, because])
}
