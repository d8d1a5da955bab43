# The control messages of a move, in the order in which they come (wire/messages.h shows the conversation).
#
# Rules: serialised unpacked, one segment, at most 8 MiB. Field numbers are never used again; new fields go to
# the end and default to what an older peer means by their absence; a new message is a new member of the union
# and is sent only after its feature was agreed in the hello. Text is any bytes without NUL: the reader checks
# what it uses. Limits: wire/limits.h. Tree bytes never travel in here: a segment is a frame type of its own.

@0xd1616327d7812b47;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("zoneferry::schema");

struct Message {
  union {
    unset @0 :Void;  # an empty message: refused
    hello @1 :Hello;
    helloAck @2 :HelloAck;
    checkRequest @3 :CheckRequest;
    checkReply @4 :CheckReply;
    prepareRequest @5 :PrepareRequest;
    prepareReply @6 :PrepareReply;
    passBegin @7 :PassBegin;
    passReady @8 :PassReady;
    segmentAck @9 :SegmentAck;
    passEnd @10 :PassEnd;
    passDone @11 :PassDone;
    verifyRequest @12 :VerifyRequest;
    verifyReply @13 :VerifyReply;
    stageRequest @14 :StageRequest;
    stageReply @15 :StageReply;
    grant @16 :Grant;
    owned @17 :Owned;
    activated @18 :Activated;
    statusRequest @19 :StatusRequest;
    statusReply @20 :StatusReply;
    abortRequest @21 :AbortRequest;
    abortReply @22 :AbortReply;
    finalizeRequest @23 :FinalizeRequest;
    finalizeReply @24 :FinalizeReply;
    returnRequest @25 :ReturnRequest;
    returnReply @26 :ReturnReply;
    joinRequest @27 :JoinRequest;
    joinReply @28 :JoinReply;
    refusal @29 :Refusal;
    ownersRequest @30 :OwnersRequest;
    ownersReply @31 :OwnersReply;
    historyRequest @32 :HistoryRequest;
    historyReply @33 :HistoryReply;
    pushRequest @34 :PushRequest;
    pushReply @35 :PushReply;
    pushInstall @36 :PushInstall;
    pushInstalled @37 :PushInstalled;
    blocksRequest @38 :BlocksRequest;
    blocksReply @39 :BlocksReply;
  }
}

# --- parts --------------------------------------------------------------------------------------------------

struct HostFacts {
  host @0 :Text;
  hostId @1 :Text;
  machine @2 :Text;
  packageSystem @3 :Text;
  packageArchitecture @4 :Text;
  kernelRelease @5 :Text;
  osName @6 :Text;
  runtime @7 :Text;
}

enum Side {
  unset @0;  # refused
  source @1;
  target @2;
}

enum Severity {
  unset @0;  # refused
  info @1;
  warn @2;
  block @3;
}

struct Finding {
  code @0 :Text;
  side @1 :Side;
  severity @2 :Severity;
  subject @3 :Text;
  source @4 :Text;
  target @5 :Text;
  message @6 :Text;
  remedy @7 :Text;
}

struct ExtraTree {  # a file system of the zone's own outside its zonepath
  path @0 :Text;  # on both hosts
  bytes @1 :UInt64;
  entries @2 :UInt64;
}

# --- messages -----------------------------------------------------------------------------------------------

struct Hello {  # the first message of the side that connected
  protocolMin @0 :UInt32;
  protocolMax @1 :UInt32;
  features @2 :List(Text);
  host @3 :Text;
  hostId @4 :Text;
  version @5 :Text;
  clockUnixMs @6 :Int64;
  listenPort @7 :UInt32;
  runId @8 :Text;  # another one at each start of the agent
}

struct HelloAck {  # the answer: the protocol chosen, the features both have
  protocol @0 :UInt32;
  features @1 :List(Text);
  host @2 :Text;
  hostId @3 :Text;
  version @4 :Text;
  clockUnixMs @5 :Int64;
  runId @6 :Text;
}

struct CheckRequest {  # judge this zone; changes nothing
  moveId @0 :Text;
  manifest @1 :Text;
  source @2 :HostFacts;
  treeBytes @3 :UInt64;
  treeEntries @4 :UInt64;
  force @5 :Bool;
  returnOf @6 :Text;
  storage @7 :Text;  # feature shared-storage: what the tree lies on; empty: nothing is to be shared
  longLink @8 :Text;  # a symbolic link of more bytes than every file system takes; empty: none
  extraTrees @9 :List(ExtraTree);  # feature extra-trees: those that the source could send
  useKeptCopy @10 :Bool;  # as PrepareRequest's
}

struct CheckReply {  # all that the target found
  target @0 :HostFacts;
  findings @1 :List(Finding);
  shared @2 :UInt8;  # 0: not shared, 1: one directory, 2: a LUN
  proof @3 :Text;  # 1: what the target read of the source's proof
  answer @4 :Text;  # 1: what it wrote for the source to read
  travelling @5 :List(Text);  # feature extra-trees: paths of those that it has not, and so must be sent
}

struct PrepareRequest {  # lock the name, make the staging directory
  moveId @0 :Text;
  zone @1 :Text;
  zoneUuid @2 :Text;
  epoch @3 :UInt64;
  manifest @4 :Text;
  source @5 :HostFacts;
  treeBytes @6 :UInt64;
  treeEntries @7 :UInt64;
  wasRunning @8 :Bool;
  force @9 :Bool;
  returnOf @10 :Text;
  useKeptCopy @11 :Bool;  # feature kept-return: nothing travels, the copy that returnOf left is taken
  probe @12 :Text;  # feature probe: after the boot, "tcp:PORT" or "cmd:WORD WORD"
  probeLimitMs @13 :UInt32;
  shared @14 :UInt8;  # feature shared-storage: as CheckReply; nothing travels
  storage @15 :Text;  # 2: the LUN
  extraTrees @16 :List(ExtraTree);  # feature extra-trees: what is sent beside the zonepath, as trees 1, 2 ...
}

struct PrepareReply {  # ready to receive
  stagingIsFresh @0 :Bool;
  hasCopy @1 :Bool;  # feature tree-lists: of an earlier move; the source does well to compare before it sends
  transports @2 :List(Text);  # feature bulk-streams: of file systems, that the tree may come by
}

struct PassBegin {  # segments of this pass follow once PassReady is read
  moveId @0 :Text;
  pass @1 :UInt32;
  isFinal @2 :Bool;
  tree @3 :UInt32;  # feature extra-trees: 0 is the zonepath
  transport @4 :Text;  # feature bulk-streams: segments are pieces of that transport's stream; none of them is
                       # acknowledged, PassDone or Refusal answers for all. Empty: records, as ever
}

struct PassReady {  # send
  pass @0 :UInt32;
}

struct SegmentAck {  # segments 0 .. durableCount-1 of the pass are on disk
  pass @0 :UInt32;
  durableCount @1 :UInt64;
}

struct PassEnd {  # so many segments it was
  pass @0 :UInt32;
  segments @1 :UInt64;
}

struct PassDone {  # all of them are on disk
  pass @0 :UInt32;
}

struct VerifyRequest {  # read the tree back
  moveId @0 :Text;
  metadataOnly @1 :Bool;  # feature tree-lists: sizes and times instead of contents
  wantsList @2 :Bool;  # feature tree-lists: the digest of every entry, too
  tree @3 :UInt32;  # as PassBegin's
  key @4 :Data;  # feature followed-digests: of the keyed digest (32 bytes); empty: the digest without a key
  follows @5 :Bool;  # it will be asked for again with this key: remember it, and what changes from now on
}

struct VerifyReply {  # its digest (32 bytes) and counts; after the parts of the list, if one was asked for
  digest @0 :Data;
  entries @1 :UInt64;
  bytes @2 :UInt64;
  listPart @3 :Data;
  isListPart @4 :Bool;  # nothing but that; more follows
  lookedAt @5 :UInt64;  # entries, this time
}

struct BlocksOfFile {
  path @0 :Text;  # below the tree's root
  blockLog @1 :UInt8;  # of a block's bytes
}

struct BlocksRequest {  # feature block-lists: the hashes of all blocks of these files
  moveId @0 :Text;
  key @1 :Data;  # of the hashes: 16 bytes
  files @2 :List(BlocksOfFile);
  tree @3 :UInt32;  # as PassBegin's
}

struct BlocksReply {  # parts of the first file, the last of which ends it, then of the next
  hashes @0 :Data;  # 16 bytes each
  endsFile @1 :Bool;
}

struct StageRequest {  # validate the attach of the halted zone
  moveId @0 :Text;
  manifest @1 :Text;
  nonce @2 :Text;  # shared storage: what the owner record beside the tree says
}

struct StageReply {  # READY, durable, or the findings that forbid it
  ready @0 :Bool;
  findings @1 :List(Finding);
}

struct Grant {  # the right to run the zone, under the new epoch
  moveId @0 :Text;
  epoch @1 :UInt64;
  boot @2 :Bool;
}

struct Owned {  # taken, durable
  epoch @0 :UInt64;
}

struct Activated {  # how it ended at the target
  attached @0 :Bool;
  running @1 :Bool;
  problem @2 :Text;
  attachMs @3 :UInt32;
  bootMs @4 :UInt32;
}

struct StatusRequest {  # what do you know of this move
  moveId @0 :Text;
}

struct StatusReply {  # this
  known @0 :Bool;
  phase @1 :Text;
  epoch @2 :UInt64;
  owned @3 :Bool;
  attached @4 :Bool;
  running @5 :Bool;
  problem @6 :Text;
  probed @7 :UInt8;  # 0: not yet or not asked for, 1: healthy, 2: failed
}

struct AbortRequest {  # undo what was prepared
  moveId @0 :Text;
  reason @1 :Text;
}

struct AbortReply {  # done
}

struct FinalizeRequest {  # the source keeps nothing any more
  moveId @0 :Text;
}

struct FinalizeReply {  # noted
}

struct ReturnRequest {  # move it back
  moveId @0 :Text;
  useKeptCopy @1 :Bool;  # feature kept-return
}

struct ReturnReply {  # under this id
  moveId @0 :Text;
}

struct OwnerClaim {
  zone @0 :Text;
  zoneUuid @1 :Text;  # empty in a request to a host that this journal knows no move of the zone with; the answer then
                      # has instead SHA-256 of "zoneferry owner claim", uuid and asking host: who had it knows the uuid
  epoch @2 :UInt64;
  held @3 :Bool;  # who says this has the right to run the zone
}

struct OwnersRequest {  # feature owner-claims: these zones are ours; do you hold one under a higher epoch?
  claims @0 :List(OwnerClaim);
}

struct OwnersReply {  # those of them that the answering host knows
  claims @0 :List(OwnerClaim);
}

struct PastEvent {
  atUnixMs @0 :Int64;
  kind @1 :Text;
  text @2 :Text;
  number @3 :Int64;
  extra @4 :Int64;
}

struct HistoryRequest {  # feature move-history: what does your journal say of this move
  moveId @0 :Text;
}

struct HistoryReply {
  known @0 :Bool;
  phase @1 :Text;
  problem @2 :Text;
  events @3 :List(PastEvent);
}

struct PushRequest {  # feature p2v-push: a physical machine's tree shall be sent for a zone that is configured here
  pushId @0 :Text;
  zone @1 :Text;
  treeBytes @2 :UInt64;
  treeEntries @3 :UInt64;
}

struct PushReply {  # passes may follow, with pushId as moveId
  stagingIsFresh @0 :Bool;
}

struct PushInstall {  # all is sent: install it
  pushId @0 :Text;
  unconfigure @1 :Bool;
  deleteContainers @2 :Bool;
}

struct PushInstalled {  # what came of it
  installed @0 :Bool;
  problem @1 :Text;
  remedy @2 :Text;
  findings @3 :List(Finding);
  warnings @4 :List(Text);
  files @5 :UInt64;
  packagesUpdated @6 :UInt32;
  adjustments @7 :UInt32;
  log @8 :Text;
}

struct JoinRequest {  # join connection only: sign my key
  host @0 :Text;
  listenPort @1 :UInt32;
  certificateRequest @2 :Text;
  proof @3 :Data;
}

struct JoinReply {  # join connection only: signed
  host @0 :Text;
  certificate @1 :Text;
  authority @2 :Text;
  proof @3 :Data;
}

struct Refusal {  # the answer to any request that is not done
  code @0 :UInt16;  # Errc of core/base/error.h; a number that the reader does not know is "unknown"
  sentence @1 :Text;
  remedy @2 :Text;
}
