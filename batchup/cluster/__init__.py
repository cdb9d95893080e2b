"""The cluster: work on many machines, through Dask ``distributed``; ledger, limits and budget stay in the run's process.

Three kinds of process. The *coordinator* is ``batchup run``. The *scheduler* is Dask's, with :mod:`batchup.cluster.fence`
preloaded. A *worker* is Dask's, with :mod:`batchup.cluster.worker` preloaded. Dask carries messages and notices who is
gone; whatever decides anything is ours, because by itself it runs again what is lost, and even what is finished.

What goes to a worker is a :class:`~batchup.cluster.call.Call`, under a name that is never used twice:

- *local work* and the examination of outputs are calls of a function by name, so :class:`~batchup.cluster.pool.ClusterPool`
  takes the place of the pool of processes, and the provider ``local`` knows nothing of it;
- of the provider ``fal`` the steps ``prepare`` (upload), ``submit`` and ``fetch`` (download), by
  :class:`~batchup.cluster.provider.ClusterProvider`. To wait for requests, and to look for lost ones, is a few bytes
  each and stays with the coordinator. No key is sent anywhere: a worker uses the ``FAL_KEY`` of its own environment, and
  is compared with the coordinator's by a hash with a random number.

**The fence.** A worker asks the scheduler for leave (``claim``) before it does anything, which is granted once for a
name, and hands in the result (``done``) before it ends. When a worker is gone, the coordinator *revokes* what it had
given it, and is told how far that was, and from then on it cannot be claimed:

========================  ==========================================================================
never claimed             given to another worker; it counts for nothing
claimed, and free         likewise, at most LOST times in a row; then it failed as ``worker_died``
claimed, may be paid      SubmissionUnknown: settled through the account's history, else held
done                      the result is here
========================  ==========================================================================

**Workers** are chosen by the coordinator, which knows what each has to do: never more than its slots, and its labels
(``--resources GPU=1``). One whose code differs from the coordinator's is told of and given nothing.

**Files.** A worker that sees the output folder under the same path shares files with the coordinator; it writes
into a folder of the run's own on that disk, by attempt, so that a worker which was taken for dead cannot spoil the work
of another, and the coordinator renames what is done. To one that
does not see it, inputs and outputs up to CARRY_BYTES are carried over the network in pieces, from worker to coordinator
directly. An input that a sharing worker does not find is carried likewise, from then on everything to that worker. Larger
files fail as ``too_large_to_carry``, saying so.
"""
