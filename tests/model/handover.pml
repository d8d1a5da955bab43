/* The hand-over of one zone between hosts A, B and C: every order of steps, crashes, losses, people and messages.
 *
 * What a side does next, which event may follow in which phase, and when a boot is allowed come from move_table.pml,
 * which dump_table makes from the product's own functions. Written here: what each step does to disks and zones, in
 * the order in which the product does it, one durable write an action, so that a crash falls between any two writes.
 *
 * A message is a bit: once sent it may be read at any time, any number of times, in any order (late, duplicated,
 * reordered), or be lost (most_losses bounds how often); whoever waits asks again.
 * A crash ends an agent (its zones run on) or a host (they do not): locks and sessions are gone, journals and records
 * stay. most_crashes bounds how many; then faults stop, and every move must come to its end.
 *
 * Scenarios (one of them): none: one move A -> B. TWO: another one A -> C, or at the same time. BACK: a rollback
 * B -> A after it. RIVAL: an older move of the zone is still being undone. SHARED: one tree that all hosts see. FORCE: B is fenced and the zone is taken back at A by force.
 * BUG_...: seeded bugs, each of which must be found (see run). */
#include "move_table.pml"

/* The product as it must not be. Chosen, like the bounds, when the compiled model runs (environment). */
#define BUG(name) (bug == BUG_##name)
#define BUG_NO_FREEZE 1
#define BUG_HALT_NOT_WAITED 2
#define BUG_NO_COMPARISON 3
#define BUG_RELEASE_WITHOUT_READY 4
#define BUG_GRANT_BEFORE_JOURNAL 5
#define BUG_GRANT_ONCE 6
#define BUG_FINALIZE_UNASKED 7
#define BUG_LATE_ABORT 8
#define BUG_ABORT_TOLD_FIRST 9
#define BUG_UNDO_UNASKED 10
#define BUG_READY_NOT_DURABLE 11
#define BUG_TARGET_TAKES_ALONE 12
#define BUG_TARGET_TIMES_OUT 13
#define BUG_SHARED_IS_DELETED 14
#define BUG_NOT_FENCED 15
#define BUG_FENCED_RETURNS 16
byte bug = 0;
byte most_crashes = 0;
byte most_losses = 0;
byte most_writes = 0;  /* what the zone writes while it runs; at most 2 */
bool lean = false;     /* a smaller bound: the zone runs at the start, and people do not halt it */

#define A 0
#define B 1
#define C 2
#define NONE 9
#ifdef BACK
#define SOURCE_OF(m) (m)
#define TARGET_OF(m) (1 - (m))
#define RETURNS(m) ((m) == 1)
#else
#define SOURCE_OF(m) A
#define TARGET_OF(m) (1 + (m))
#define RETURNS(m) false
#endif
#ifdef SHARED
#define PLACE(h) 0
#else
#define PLACE(h) (h)
#endif

typedef Record { byte st; byte ep; byte mv; byte ho };
Record own[3];       /* the host's copy of the owner record */
Record beside[3];    /* the copy beside the tree */
byte tree[3];        /* 0: none, else 1 + the version that is complete there */
bool attached[3];    /* the zone is installed there */
bool runs[3];
bool up[3];          /* the agent */
bool off[3];         /* the host, switched off by a person who fences it */
byte lock[3];        /* 1 + the move that holds the zone's lock: gone with the agent */

byte source[2];      /* the journals: the phase at the source ... */
byte target[2];      /* ... and at the target */
byte epoch[2];
byte staging[2];     /* 0: none, 1: empty, else 2 + version */
bool ran[2];
bool prepared[2];    /* the source has a session in which the target knows the move: volatile */
int sent[2];
bool repaired[2];    /* the digests differed once, and it was sent again */
bool granted[2];     /* for a seeded bug only */

byte newest = 0;     /* the last version that the zone wrote */
byte crashes = 0;
byte losses = 0;
bool forced = false; /* a person has accepted that the last writes are lost */

/* Messages. TREE, DONE and VERIFIED are of one version each. */
#define PREPARE 0
#define FRESH 1
#define KNOWN 2
#define VERIFY 3
#define STAGE 4
#define READY 5
#define GRANT 6
#define OWNED 7
#define ACTIVATED 8
#define ABORT 9
#define TOLD_ABORTED 10
#define HEALTHY 11
#define FINALIZE 12
#define FINALIZED 13
#define TREE(v) (14 + (v))
#define DONE(v) (17 + (v))
#define VERIFIED(v) (20 + (v))
/* What is read by nobody any more is forgotten: an aborted source reads nothing, a target that discarded neither. */
#define FOR_TARGET ((1 << PREPARE) | (1 << VERIFY) | (1 << STAGE) | (1 << GRANT) | (1 << ABORT) | (1 << TOLD_ABORTED) | \
                    (1 << FINALIZE) | (7 << TREE(0)))
#define GOT(m, bit) (((sent[m] >> (bit)) & 1) == 1)
#define SEND(m, bit) sent[m] = sent[m] | (1 << (bit))

#define HERE (SOURCE_OF(m))
#define THERE (TARGET_OF(m))
#define S source[m]
#define T target[m]
#define VERSION(h) (tree[PLACE(h)] - 1)
#define HOLDS_LOCK (lock[HERE] == m + 1)
#define CAN_LOCK (lock[HERE] == 0 || HOLDS_LOCK)
#define GATE(h) (MAY_BOOT(own[h].st, own[h].ep, beside[PLACE(h)].st, beside[PLACE(h)].ep))
#define CAN_RUN(h) (attached[h] && tree[PLACE(h)] != 0 && GATE(h) && !off[h])
#define SPEAKS(h) (HOST_COPY_COUNTS(own[h].st, own[h].ep, beside[PLACE(h)].st, beside[PLACE(h)].ep))
#define NO_RECORD(h) (own[h].st == O_none && beside[PLACE(h)].st == O_none)
/* is_held_by of finish.cpp */
#define HELD (NO_RECORD(HERE) || \
    (SPEAKS(HERE) && own[HERE].ep == epoch[m] && \
     (own[HERE].st == O_owned || (own[HERE].st == O_frozen && own[HERE].mv == m))) || \
    (!SPEAKS(HERE) && beside[PLACE(HERE)].st == O_frozen && beside[PLACE(HERE)].mv == m && \
     beside[PLACE(HERE)].ep == epoch[m]))
/* check_still_ours: asked before a halt and before a release */
#define STILL_OURS (attached[HERE] && HELD)
/* check_is_left_copy */
#define IS_LEFT (own[HERE].st == O_released && own[HERE].ep == epoch[m] + 1 && own[HERE].ho == THERE)
#define COMING (T == P_incoming || T == P_ready)
#define HOLDS_ZONE(p) ((p) == P_owned || (p) == P_activated || (p) == P_finalized || (p) == P_returned)
#define RELEASED(p) ((p) == P_released || (p) == P_owned || (p) == P_activated)

#define WRITE_OWN(h, state, e, holder) own[h].st = state; own[h].ep = e; own[h].mv = m; own[h].ho = holder
#define WRITE_BESIDE(h, state, e, holder) \
    beside[PLACE(h)].st = state; beside[PLACE(h)].ep = e; beside[PLACE(h)].mv = m; beside[PLACE(h)].ho = holder
#define IS_OWN(h, state, e) (own[h].st == state && own[h].ep == (e) && own[h].mv == m)
#define IS_BESIDE(h, state, e) \
    (beside[PLACE(h)].st == state && beside[PLACE(h)].ep == (e) && beside[PLACE(h)].mv == m)

/* What must hold after every action. */
#define COPY_OF(m) (staging[m] == newest + 2 && (target[m] == P_ready || target[m] == P_owned))
#define PROMISED(m) (target[m] == P_ready || HOLDS_ZONE(target[m]))
#define IS_OVER(m) (source[m] == P_none || (OVER_source(source[m]) && (target[m] == P_none || OVER_target(target[m]))))
bool is_taken, all_over, is_home, one_can_run;  /* for the claims below: no state of their own */
inline look() {
    is_taken = HOLDS_ZONE(target[0]);
    all_over = IS_OVER(0) && IS_OVER(1);
    is_home = CAN_RUN(A);
    one_can_run = (CAN_RUN(A) + CAN_RUN(B) + CAN_RUN(C) == 1)
}
inline check() {
#ifdef LIVE
    look();
#endif
    assert(runs[A] + runs[B] + runs[C] <= 1);                        /* S1 never run twice */
    assert(CAN_RUN(A) + CAN_RUN(B) + CAN_RUN(C) <= 1);               /* S2 never two who may run it */
    assert((!runs[A] || (!CAN_RUN(B) && !CAN_RUN(C))) && (!runs[B] || (!CAN_RUN(A) && !CAN_RUN(C))) &&
           (!runs[C] || (!CAN_RUN(A) && !CAN_RUN(B))));              /* S3 nobody may start what runs elsewhere */
    assert(forced || tree[PLACE(A)] == newest + 1 || tree[PLACE(B)] == newest + 1 ||
           tree[PLACE(C)] == newest + 1 || COPY_OF(0) || COPY_OF(1)); /* S4 the last write is never lost */
    assert(forced || ((!runs[A] || VERSION(A) == newest) && (!runs[B] || VERSION(B) == newest) &&
                      (!runs[C] || VERSION(C) == newest)));          /* S5 what runs is the newest */
    assert(forced || ((!RELEASED(source[0]) || PROMISED(0)) &&
                      (!RELEASED(source[1]) || PROMISED(1))));       /* S6 released only to whom has promised */
    assert(!(source[0] == P_aborted && HOLDS_ZONE(target[0])) &&
           !(source[1] == P_aborted && HOLDS_ZONE(target[1])));      /* S7 what was undone is never taken */
#ifndef SHARED
    assert(forced || !RELEASED(source[0]) || tree[SOURCE_OF(0)] != 0 || GOT(0, FINALIZED) ||
           (RETURNS(1) && HOLDS_ZONE(target[1])));   
#endif                                                               /* S8 the copy is kept until finalize */
}

inline source_agent(m) {
end: do
    /* prepare */
    :: atomic { up[HERE] && NEXT_source_prepare(S) && CAN_LOCK && STILL_OURS && !GOT(m, PREPARE) ->
        lock[HERE] = m + 1; SEND(m, PREPARE); check() }
    :: atomic { up[HERE] && NEXT_source_prepare(S) && HOLDS_LOCK && CAN_source_prepared(S) &&
                (GOT(m, FRESH) || GOT(m, KNOWN)) ->
        S = AFTER_source_prepared(S); prepared[m] = true; check() }
    :: atomic { up[HERE] && !prepared[m] && CAN_ABORT(S) && S != P_begun && S != P_aborting && S != P_staged &&
                S != P_quiescing && CAN_LOCK ->
        lock[HERE] = m + 1;
        if
        :: GOT(m, KNOWN) -> prepared[m] = true
        :: GOT(m, FRESH) && !GOT(m, KNOWN) && (S == P_prepared || S == P_quiesced) -> prepared[m] = true
        :: GOT(m, FRESH) && !GOT(m, KNOWN) && S != P_prepared && S != P_quiesced -> S = AFTER_source_aborting(S)
        :: else -> SEND(m, PREPARE)
        fi; check() }
    /* passes while it runs: running_pass_done and pass_begun change no phase */
    :: atomic { up[HERE] && NEXT_source_running_pass(S) && CAN_source_running_pass_done(S) &&
                CAN_source_pass_begun(S) && prepared[m] && runs[HERE] && !GOT(m, TREE(VERSION(HERE))) ->
        SEND(m, TREE(VERSION(HERE))) }
    /* the switch is decided; then frozen in both places, halted, journaled */
    :: atomic { up[HERE] && NEXT_source_decide(S) && CAN_source_quiescing(S) && prepared[m] && HOLDS_LOCK &&
                STILL_OURS ->
        S = AFTER_source_quiescing(S); ran[m] = runs[HERE]; check() }
    :: atomic { up[HERE] && NEXT_source_quiesce(S) && CAN_LOCK && !IS_OWN(HERE, O_frozen, epoch[m]) &&
                !BUG(NO_FREEZE) ->
        lock[HERE] = m + 1; WRITE_OWN(HERE, O_frozen, epoch[m], HERE); check() }
    :: atomic { up[HERE] && NEXT_source_quiesce(S) && CAN_LOCK &&
                IS_OWN(HERE, O_frozen, epoch[m]) && !IS_BESIDE(HERE, O_frozen, epoch[m]) ->
        lock[HERE] = m + 1; WRITE_BESIDE(HERE, O_frozen, epoch[m], HERE); check() }
#define FROZEN (BUG(NO_FREEZE) || (IS_OWN(HERE, O_frozen, epoch[m]) && IS_BESIDE(HERE, O_frozen, epoch[m])))
    :: atomic { up[HERE] && NEXT_source_quiesce(S) && CAN_LOCK && FROZEN && runs[HERE] ->
        lock[HERE] = m + 1; runs[HERE] = false; check() }
#define IS_HALTED (BUG(HALT_NOT_WAITED) || !runs[HERE])
    :: atomic { up[HERE] && NEXT_source_quiesce(S) && CAN_source_quiesced(S) && CAN_LOCK && FROZEN && IS_HALTED ->
        lock[HERE] = m + 1; S = AFTER_source_quiesced(S); check() }
    /* the last pass, digests, the promise */
    :: atomic { up[HERE] && NEXT_source_final_pass(S) && prepared[m] && !GOT(m, TREE(VERSION(HERE))) ->
        SEND(m, TREE(VERSION(HERE))) }
    :: atomic { up[HERE] && NEXT_source_final_pass(S) && CAN_source_sent(S) && prepared[m] &&
                GOT(m, DONE(VERSION(HERE))) ->
        S = AFTER_source_sent(S); check() }
    :: atomic { up[HERE] && NEXT_source_verify(S) && prepared[m] && !GOT(m, VERIFY) -> SEND(m, VERIFY) }
#define DIGESTS_ARE_EQUAL \
    (GOT(m, VERIFIED(VERSION(HERE))) || (BUG(NO_COMPARISON) && (GOT(m, VERIFIED(0)) || GOT(m, VERIFIED(1)))))
    :: atomic { up[HERE] && NEXT_source_verify(S) && CAN_source_verified(S) && prepared[m] && DIGESTS_ARE_EQUAL ->
        S = AFTER_source_verified(S); check() }
    /* what is on the target's disk may differ although it was right when it was sent: it is sent again, once */
    :: atomic { up[HERE] && NEXT_source_verify(S) && CAN_source_repairing(S) && prepared[m] && !repaired[m] ->
        repaired[m] = true; S = AFTER_source_repairing(S); check() }
    :: atomic { up[HERE] && NEXT_source_stage(S) && prepared[m] && !GOT(m, STAGE) -> SEND(m, STAGE) }
#define IS_PROMISED (BUG(RELEASE_WITHOUT_READY) || GOT(m, READY))
    :: atomic { up[HERE] && NEXT_source_stage(S) && CAN_source_staged(S) && prepared[m] && IS_PROMISED ->
        S = AFTER_source_staged(S); check() }
    /* the commit point: one durable record */
    :: atomic { up[HERE] && NEXT_source_release(S) && CAN_source_released(S) && CAN_LOCK && STILL_OURS &&
                !runs[HERE] ->
        lock[HERE] = m + 1; S = AFTER_source_released(S); check() }
    /* grant, for ever */
    :: atomic { up[HERE] && NEXT_source_grant(S) && !IS_OWN(HERE, O_released, epoch[m] + 1) ->
        WRITE_OWN(HERE, O_released, epoch[m] + 1, THERE); check() }
    :: atomic { up[HERE] && NEXT_source_grant(S) && IS_OWN(HERE, O_released, epoch[m] + 1) &&
                !IS_BESIDE(HERE, O_released, epoch[m] + 1) && beside[PLACE(HERE)].st != O_owned ->
        WRITE_BESIDE(HERE, O_released, epoch[m] + 1, THERE); check() }
#define RECORDS_SAY_SO \
    (IS_OWN(HERE, O_released, epoch[m] + 1) && beside[PLACE(HERE)].st != O_frozen && beside[PLACE(HERE)].st != O_none)
    :: atomic { BUG(GRANT_BEFORE_JOURNAL) && up[HERE] && NEXT_source_release(S) && !GOT(m, GRANT) -> SEND(m, GRANT) }
    :: atomic { up[HERE] && NEXT_source_grant(S) && RECORDS_SAY_SO && !GOT(m, GRANT) && !granted[m] ->
        granted[m] = BUG(GRANT_ONCE); SEND(m, GRANT) }
    :: atomic { up[HERE] && NEXT_source_grant(S) && CAN_source_owned(S) && GOT(m, OWNED) ->
        S = AFTER_source_owned(S); check() }
    /* confirm */
    :: atomic { up[HERE] && NEXT_source_confirm(S) && attached[HERE] -> attached[HERE] = false; check() }
    :: atomic { up[HERE] && NEXT_source_confirm(S) && CAN_source_activated(S) && !attached[HERE] &&
                GOT(m, ACTIVATED) ->
        S = AFTER_source_activated(S);
        if
        :: RETURNS(m) && CAN_target_returned(target[0]) -> target[0] = AFTER_target_returned(target[0])
        :: else
        fi;
        lock[HERE] = (HOLDS_LOCK -> 0 : lock[HERE]); check() }
    /* finalize: by a person, or as it was asked for when the move began */
    :: atomic { BUG(FINALIZE_UNASKED) && up[HERE] && S == P_owned && tree[PLACE(HERE)] != 0 -> tree[PLACE(HERE)] = 0; check() }
    :: atomic { up[HERE] && CAN_source_finalized(S) && CAN_LOCK && IS_LEFT && GOT(m, HEALTHY) &&
                !GOT(m, FINALIZE) -> SEND(m, FINALIZE) }
#ifdef SHARED
#define IS_DELETED (tree[0] == 0 || !BUG(SHARED_IS_DELETED))
#else
#define IS_DELETED (tree[HERE] == 0)
#endif
    :: atomic { up[HERE] && CAN_source_finalized(S) && lock[HERE] == 0 && IS_LEFT && GOT(m, FINALIZED) &&
                !IS_DELETED ->
        tree[PLACE(HERE)] = 0; beside[PLACE(HERE)].st = O_none; beside[PLACE(HERE)].ep = 0; check() }
    :: atomic { up[HERE] && CAN_source_finalized(S) && lock[HERE] == 0 && IS_LEFT && GOT(m, FINALIZED) && IS_DELETED ->
        own[HERE].st = O_none; own[HERE].ep = 0; own[HERE].mv = m; own[HERE].ho = NONE; check() }
    :: atomic { up[HERE] && CAN_source_finalized(S) && own[HERE].st == O_none && GOT(m, FINALIZED) && IS_DELETED ->
        S = AFTER_source_finalized(S); check() }
    /* giving up: a person's wish, a refusal, a time-out, an error: at any moment before the release */
    :: atomic { up[HERE] && CAN_source_aborting(S) && S != P_aborting -> S = AFTER_source_aborting(S); check() }
    :: atomic { BUG(LATE_ABORT) && up[HERE] && S == P_released -> S = P_aborting; check() }
    :: atomic { BUG(ABORT_TOLD_FIRST) && up[HERE] && CAN_source_aborting(S) -> SEND(m, ABORT); check() }
#define MAY_UNDO (BUG(UNDO_UNASKED) || HELD)
    :: atomic { up[HERE] && NEXT_source_abort(S) && CAN_LOCK && MAY_UNDO && !IS_OWN(HERE, O_owned, epoch[m]) ->
        lock[HERE] = m + 1; WRITE_OWN(HERE, O_owned, epoch[m], HERE); check() }
    :: atomic { up[HERE] && NEXT_source_abort(S) && CAN_LOCK && MAY_UNDO && IS_OWN(HERE, O_owned, epoch[m]) &&
                !IS_BESIDE(HERE, O_owned, epoch[m]) ->
        lock[HERE] = m + 1; WRITE_BESIDE(HERE, O_owned, epoch[m], HERE); check() }
    :: atomic { up[HERE] && NEXT_source_abort(S) && HOLDS_LOCK && ran[m] && !runs[HERE] && CAN_RUN(HERE) ->
        runs[HERE] = true; check() }
    :: atomic { up[HERE] && NEXT_source_abort(S) && !GOT(m, ABORT) -> SEND(m, ABORT); check() }
    :: atomic { up[HERE] && NEXT_source_abort(S) && CAN_source_aborted(S) && CAN_LOCK &&
                (!HELD || (IS_OWN(HERE, O_owned, epoch[m]) && IS_BESIDE(HERE, O_owned, epoch[m]))) -> /* started, or not */
        S = AFTER_source_aborted(S); lock[HERE] = 0; prepared[m] = false;
        sent[m] = (T == P_discarded -> 0 : sent[m] & FOR_TARGET); check() }
    :: atomic { up[HERE] && S == P_aborted && COMING && !GOT(m, TOLD_ABORTED) -> SEND(m, TOLD_ABORTED) }
    od
}

/* What the target asks before it reserves a name: no zone there, no older copy but the one of a rollback, and no
 * newer epoch than the one that is offered. */
#define OTHER (1 - m)
#define OTHER_IS_COMING \
    (TARGET_OF(OTHER) == THERE && (target[OTHER] == P_incoming || target[OTHER] == P_ready))
#ifdef SHARED
#define NOTHING_THERE (!attached[THERE])
#else
#define NOTHING_THERE (!attached[THERE] && tree[THERE] == 0)
#endif
#define EPOCH_FITS (own[THERE].st == O_none || own[THERE].ep <= epoch[m])
#define IS_ADMITTED (EPOCH_FITS && (RETURNS(m) -> source[0] == P_activated : NOTHING_THERE && !OTHER_IS_COMING))

#define IS_TOLD ((BUG(TARGET_TIMES_OUT) && T == P_ready) || GOT(m, ABORT) || GOT(m, TOLD_ABORTED))
inline target_agent(m) {
end: do
    /* reserve */
    :: atomic { up[THERE] && T == P_none && GOT(m, PREPARE) && IS_ADMITTED -> T = P_incoming; check() }
    :: atomic { up[THERE] && COMING && !IS_TOLD && GOT(m, PREPARE) &&
                !IS_OWN(THERE, O_incoming, epoch[m]) ->
        WRITE_OWN(THERE, O_incoming, epoch[m], HERE); check() }
    :: atomic { up[THERE] && COMING && !IS_TOLD && GOT(m, PREPARE) &&
                IS_OWN(THERE, O_incoming, epoch[m]) && staging[m] == 0 ->
        staging[m] = 1; SEND(m, FRESH); check() }
    :: atomic { up[THERE] && COMING && GOT(m, PREPARE) && staging[m] != 0 && !GOT(m, KNOWN) && S != P_aborted -> SEND(m, KNOWN) }
    /* receive: a later pass only, and nothing once the promise is given */
#ifdef SHARED
    :: atomic { up[THERE] && T == P_incoming && staging[m] != 0 && tree[0] != 0 &&
                (GOT(m, TREE(0)) || GOT(m, TREE(1)) || GOT(m, TREE(2))) && staging[m] != tree[0] + 1 ->
        staging[m] = tree[0] + 1; check() }
#else
#define IS_LATER(v) (staging[m] < (v) + 2 || (BUG(NO_COMPARISON) && staging[m] != (v) + 2))
    :: atomic { up[THERE] && T == P_incoming && staging[m] != 0 && GOT(m, TREE(0)) && IS_LATER(0) ->
        staging[m] = 2; check() }
    :: atomic { up[THERE] && T == P_incoming && staging[m] != 0 && GOT(m, TREE(1)) && IS_LATER(1) ->
        staging[m] = 3; check() }
    :: atomic { up[THERE] && T == P_incoming && staging[m] != 0 && GOT(m, TREE(2)) && IS_LATER(2) ->
        staging[m] = 4; check() }
#endif
    :: atomic { up[THERE] && COMING && staging[m] >= 2 && !GOT(m, DONE(staging[m] - 2)) && S != P_aborted ->
        SEND(m, DONE(staging[m] - 2)) }
    :: atomic { up[THERE] && COMING && GOT(m, VERIFY) && staging[m] >= 2 && !GOT(m, VERIFIED(staging[m] - 2)) && S != P_aborted ->
        SEND(m, VERIFIED(staging[m] - 2)) }
    /* promise: durable, then told */
    :: atomic { up[THERE] && GOT(m, STAGE) && staging[m] >= 2 && CAN_target_ready(T) ->
        T = AFTER_target_ready(T); check() }
    :: atomic { up[THERE] && (T == P_ready || (BUG(READY_NOT_DURABLE) && T == P_incoming && staging[m] >= 2)) &&
                GOT(m, STAGE) && !GOT(m, READY) && S != P_aborted -> SEND(m, READY) }
    /* take over */
    :: atomic { up[THERE] && (GOT(m, GRANT) || BUG(TARGET_TAKES_ALONE)) && CAN_target_owned(T) ->
        T = AFTER_target_owned(T); check() }
    :: atomic { up[THERE] && GOT(m, GRANT) && HOLDS_ZONE(T) && !GOT(m, OWNED) -> SEND(m, OWNED) }
#ifdef SHARED
    :: atomic { up[THERE] && NEXT_target_activate(T) && staging[m] != 0 -> staging[m] = 0; check() }
#else
    :: atomic { up[THERE] && NEXT_target_activate(T) && staging[m] >= 2 && tree[THERE] != 0 -> /* set aside */
        tree[THERE] = 0; beside[THERE].st = O_none; beside[THERE].ep = 0; check() }
    :: atomic { up[THERE] && NEXT_target_activate(T) && staging[m] >= 2 && tree[THERE] == 0 ->
        tree[THERE] = staging[m] - 1; staging[m] = 0; check() }
#endif
    :: atomic { up[THERE] && NEXT_target_activate(T) && staging[m] == 0 && !IS_OWN(THERE, O_owned, epoch[m] + 1) ->
        WRITE_OWN(THERE, O_owned, epoch[m] + 1, THERE); check() }
    :: atomic { up[THERE] && NEXT_target_activate(T) && IS_OWN(THERE, O_owned, epoch[m] + 1) &&
                !IS_BESIDE(THERE, O_owned, epoch[m] + 1) ->
        WRITE_BESIDE(THERE, O_owned, epoch[m] + 1, THERE); check() }
    :: atomic { up[THERE] && NEXT_target_activate(T) && IS_BESIDE(THERE, O_owned, epoch[m] + 1) &&
                IS_OWN(THERE, O_owned, epoch[m] + 1) && !attached[THERE] ->
        attached[THERE] = true; check() }
    :: atomic { up[THERE] && NEXT_target_activate(T) && attached[THERE] && IS_BESIDE(THERE, O_owned, epoch[m] + 1) &&
                ran[m] && !runs[THERE] && CAN_RUN(THERE) ->
        runs[THERE] = true; check() }
    :: atomic { up[THERE] && NEXT_target_activate(T) && CAN_target_activated(T) && attached[THERE] &&
                IS_BESIDE(THERE, O_owned, epoch[m] + 1) -> /* also when the boot failed */
        T = AFTER_target_activated(T);
        if
        :: RETURNS(m) && CAN_source_returned(source[0]) -> source[0] = AFTER_source_returned(source[0])
        :: else
        fi; check() }
    :: atomic { up[THERE] && T == P_activated && !GOT(m, ACTIVATED) -> SEND(m, ACTIVATED) }
    :: atomic { up[THERE] && T == P_activated && attached[THERE] && (runs[THERE] || !ran[m]) && !GOT(m, HEALTHY) ->
        SEND(m, HEALTHY) }
    :: atomic { up[THERE] && GOT(m, FINALIZE) && CAN_target_finalized(T) -> T = AFTER_target_finalized(T); check() }
    :: atomic { up[THERE] && GOT(m, FINALIZE) && T == P_finalized && !GOT(m, FINALIZED) -> SEND(m, FINALIZED) }
    /* discard: on the source's word only */
    :: atomic { up[THERE] && COMING && IS_TOLD && staging[m] != 0 -> staging[m] = 0; check() }
    :: atomic { up[THERE] && COMING && IS_TOLD && staging[m] == 0 && own[THERE].st == O_incoming && own[THERE].mv == m ->
        if
        :: RETURNS(m) -> WRITE_OWN(THERE, O_released, epoch[m], HERE)
        :: else -> own[THERE].st = O_none; own[THERE].ep = 0; own[THERE].ho = NONE
        fi; check() }
    :: atomic { up[THERE] && COMING && IS_TOLD && CAN_target_discarded(T) && staging[m] == 0 &&
                own[THERE].st != O_incoming ->
        T = AFTER_target_discarded(T); sent[m] = (S == P_aborted -> 0 : sent[m]); check() }
    od
}

proctype source0() { source_agent(0) }
proctype target0() { target_agent(0) }
#if defined(TWO) || defined(BACK)
proctype source1() { source_agent(1) }
proctype target1() { target_agent(1) }
#endif
#ifdef RIVAL
proctype source1() { source_agent(1) }
#endif

#define MAY_START(h) (lock[h] == 0 && !runs[h] && CAN_RUN(h))
/* A smaller bound: the second move begins when the first has left nothing at its target. */
#ifdef TIDY
#define IS_TIDY (target[0] == P_none || OVER_target(target[0]))
#else
#define IS_TIDY true
#endif
inline people_at(h) {
    /* zoneadm boot, autoboot, zoneadm halt, and the zone's own writes */
    if
    :: atomic { MAY_START(h) -> runs[h] = true; check() }
    :: atomic { !lean && runs[h] && lock[h] == 0 -> runs[h] = false; check() }
    :: atomic { runs[h] && newest < most_writes -> newest++; tree[PLACE(h)] = newest + 1; check() }
    fi
}
proctype people() {
end: do
    :: people_at(A)
    :: people_at(B)
#ifdef TWO
    :: people_at(C)
    :: atomic { source[1] == P_none && attached[A] && GATE(A) && OVER_source(source[0]) && up[A] && IS_TIDY ->
        source[1] = P_begun; epoch[1] = (own[A].st == O_none -> 1 : own[A].ep); ran[1] = runs[A]; check() }
#endif
#ifdef BACK
    :: atomic { source[1] == P_none && source[0] == P_activated && target[0] == P_activated && up[B] && attached[B] &&
                GATE(B) ->
        source[1] = P_begun; epoch[1] = own[B].ep; ran[1] = runs[B]; check() }
#endif
#ifdef FORCE
    /* resolve --reclaim: the target is fenced. It comes back wiped, or hears of the higher epoch before it boots. */
    :: atomic { !off[B] && RELEASED(source[0]) -> off[B] = true; runs[B] = false; up[B] = false; check() }
#define IS_FENCED (off[B] || BUG(NOT_FENCED))
    :: atomic { IS_FENCED && CAN_source_reclaiming(source[0]) && !forced && lock[A] == 0 && own[A].st == O_released ->
        forced = true; source[0] = AFTER_source_reclaiming(source[0]); own[A].st = O_owned; own[A].ep = own[A].ep + 1; own[A].ho = A; check() }
    :: atomic { forced && own[A].st == O_owned && beside[A].ep < own[A].ep ->
        beside[A].st = O_owned; beside[A].ep = own[A].ep; beside[A].ho = A; check() }
    :: atomic { forced && own[A].st == O_owned && beside[A].ep == own[A].ep && NEXT_source_reclaim(source[0]) &&
                CAN_source_reclaimed(source[0]) ->
        attached[A] = true; newest = VERSION(A); source[0] = AFTER_source_reclaimed(source[0]); check() }
    :: atomic { forced && off[B] && OVER_source(source[0]) ->
        if
        :: !BUG(FENCED_RETURNS) && CAN_target_superseded(target[0]) ->
            target[0] = AFTER_target_superseded(target[0]); own[B].st = O_released; own[B].ep = own[A].ep
        :: !BUG(FENCED_RETURNS) ->
            tree[B] = 0; attached[B] = false; own[B].st = O_none; own[B].ep = 0; beside[B].st = O_none;
            beside[B].ep = 0; staging[0] = 0; target[0] = P_none; sent[0] = 0;
            source[0] = P_none
        :: else
        fi;
        off[B] = false; up[B] = true; check() }
#endif
    od
}

/* Agents come back by themselves: this process is fair, and faults come to an end. */
proctype service() {
end: do
    :: atomic { !up[A] && !off[A] -> up[A] = true }
    :: atomic { !up[B] && !off[B] -> up[B] = true }
    :: atomic { !up[C] && !off[C] -> up[C] = true }
    od
}
inline agent_dies(h) {
    up[h] = false; lock[h] = 0; crashes++;
    prepared[0] = (h == SOURCE_OF(0) || h == TARGET_OF(0) -> false : prepared[0]);
    prepared[1] = (h == SOURCE_OF(1) || h == TARGET_OF(1) -> false : prepared[1])
}
#define LOSE(m, bit) atomic { losses < most_losses && GOT(m, bit) -> sent[m] = sent[m] & ~(1 << (bit)); losses++ }
inline loses(m) {
    if
    :: LOSE(m, PREPARE)
    :: LOSE(m, KNOWN)
    :: LOSE(m, TREE(0))
    :: LOSE(m, TREE(1))
    :: LOSE(m, DONE(1))
    :: LOSE(m, VERIFY)
    :: LOSE(m, STAGE)
    :: LOSE(m, READY)
    :: LOSE(m, GRANT)
    :: LOSE(m, OWNED)
    :: LOSE(m, ACTIVATED)
    :: LOSE(m, ABORT)
    :: LOSE(m, FINALIZE)
    fi
}
proctype faults() {
end: do
    :: atomic { crashes < most_crashes && up[A] -> agent_dies(A) }
    :: atomic { crashes < most_crashes && up[A] && runs[A] -> agent_dies(A); runs[A] = false }
    :: atomic { crashes < most_crashes && up[B] -> agent_dies(B) }
    :: atomic { crashes < most_crashes && up[B] && runs[B] -> agent_dies(B); runs[B] = false }
#ifdef TWO
    :: atomic { crashes < most_crashes && up[C] -> agent_dies(C) }
    :: atomic { crashes < most_crashes && up[C] && runs[C] -> agent_dies(C); runs[C] = false }
#endif
    :: loses(0)
#if defined(TWO) || defined(BACK)
    :: loses(1)
#endif
    od
}

c_decl {
\#include <stdlib.h>
static int told(const char* name) { const char* text = getenv(name); return text ? atoi(text) : 0; }
}
init {
    atomic {
        c_code {
            now.bug = told("BUG"); now.most_crashes = told("CRASHES"); now.most_losses = told("LOSSES");
            now.most_writes = told("WRITES"); now.lean = told("LEAN");
        };
        up[A] = true; up[B] = true; up[C] = true;
        attached[A] = true; tree[PLACE(A)] = 1;
        source[0] = P_begun; source[1] = P_none; target[0] = P_none; target[1] = P_none;
        epoch[0] = 1;
        if
        :: runs[A] = true; ran[0] = true
        :: !lean -> skip
        fi;
        look();
        run source0(); run target0();
#if defined(TWO) || defined(BACK)
        run source1(); run target1();
#endif
#ifdef RIVAL
        source[1] = P_aborting; epoch[1] = 1; ran[1] = ran[0];
        run source1();
#endif
        run people(); run service(); run faults()
    }
}

/* What must come, when faults have come to their end (under weak fairness of the processes). */
ltl taken { [] (source[0] == P_released -> <> is_taken) }       /* L1 what is released is taken */
ltl ends { <> [] all_over }                                     /* L2 every move ends, on both sides */
ltl comes_back { [] (source[0] == P_aborting -> <> is_home) }   /* L3 an undone zone can run at home again */
ltl has_a_home { <> [] one_can_run }                            /* L4 in the end one host may run it */
