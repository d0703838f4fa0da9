"""One error type a boundary. A bad completion is data and has none."""


class PhysRLError(Exception):
    """Anything this project raises on purpose."""


class UserError(PhysRLError):
    """A mistake that its message tells how to mend: one line, exit code 2, no traceback."""


class ConfigError(UserError):
    """A configuration that is wrong: unknown key, wrong type, impossible combination."""


class PluginError(UserError):
    """An installed distribution's entry point that clashes, fails to import or has a wrong form."""


class DataError(UserError):
    """A file or folder that the user named is missing or unreadable."""


class SceneError(UserError):
    """A scene that the settings do not admit, or that cannot be rendered."""


class SimulationError(PhysRLError):
    """PyBullet failed, or gave values that are not finite."""


class GenerationError(PhysRLError):
    """A generator broke its contract: wrong prompt ids, missing log-probabilities, old weights."""


class AbortedError(GenerationError):
    """Completions were given up for newer weights, and have to be asked for again."""


class LostError(PhysRLError):
    """Actors of one kind are gone, and no others start in their place."""


class LearnerLostError(LostError):
    """A learner rank died or hangs; the others wait for it."""


class LostCallError(PhysRLError):
    """Every actor that was given a call died of it or hung."""


class DivergedError(PhysRLError):
    """Losses or gradients stay infinite or NaN: the last checkpoint is the last good state."""


class CheckpointError(UserError):
    """A checkpoint that is missing, incomplete, damaged or of another run."""


class StorageError(UserError):
    """A folder or bucket that cannot be reached, read or written."""


class MissingObjectError(StorageError):
    """There is no object under a key."""


class CollectionError(PhysRLError):
    """A dataset's shard could not be made, however often it was tried."""
