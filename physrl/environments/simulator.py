"""Rigid-body simulation of blocks in PyBullet.

The constants decide whether labels are correct; they were chosen by agreement with the exact static
criterion (docs/environment.md). Every simulation gets new blocks: repositioned bodies keep contact
state, new ones in an empty world are reproducible bit for bit, also across processes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import mul

from physrl.environments.projection import half_extents
from physrl.environments.quiet_bullet import pybullet
from physrl.errors import SimulationError
from physrl.types import (
    Block,
    FirstMove,
    Motion,
    Pose,
    Quaternion,
    SceneSpec,
    Side,
    Still,
    Vector,
)

GRAVITY = 9.81
TIME_STEP = 1 / 240
SOLVER_ITERATIONS = 50
MANY_SOLVER_ITERATIONS = 150
"""Solver iterations with blocks of several shapes or six blocks: with fewer, heavy blocks on light
ones and tall towers creep until they fall."""
FRICTION = 0.7
TAU = math.sqrt(1.0 / GRAVITY)
"""Time scale of toppling for a block one meter wide, in seconds."""
MAX_DURATION = 4 * TAU
REST_SPEED = 0.005 / TAU
FALL_DISPLACEMENT = 0.1
"""Displacement beyond which a block counts as fallen, in block widths."""
MOTION_DISPLACEMENT = 0.01
"""Displacement (down or sideways) beyond which a block has begun to move when another has fallen,
in block widths."""
STEPS_BETWEEN_CHECKS = 8
"""Steps between checks; a power of two, so that PyBullet splits the time into exactly these."""
FRAMES_PER_SECOND = round(1 / (TIME_STEP * STEPS_BETWEEN_CHECKS))
"""Frame rate of `Simulator.watch`, in simulated time."""
RESET_AFTER = 500
"""Simulations between resets of PyBullet, which leaks some memory for each block it removes."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The world at the end of a simulation."""

    poses: tuple[Pose, ...]
    displacements: tuple[float, ...]
    """Distance of each block from its initial position, in block widths."""
    at_rest: bool
    steps: int
    motion: Motion
    """The first motion."""


class Simulator:
    """A PyBullet world that is emptied for every simulation. A block width is one meter.

    Blocks are removed in the reverse of the order in which they were added. With the simple
    broadphase this restores the state after a reset: results are bitwise independent of earlier
    simulations. A reset for every simulation would cost ten times as much.
    """

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise SimulationError("PyBullet refused a connection: too many simulators are open")
        self._reset()

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def settle(
        self,
        blocks: Sequence[Block | Pose],
        drop: float = 0.0,
        give_up_beyond: float = math.inf,
        patience: float = 1.0,
    ) -> Settled:
        """Release the blocks and simulate until they are at rest.

        Args:
            blocks: initial positions, upright or in any pose; bottom first is fastest to solve.
            drop: height that a block falls before it touches another, in block widths; extends the
                time limit.
            give_up_beyond: displacement of any block at which to stop early, in block widths: for
                callers whose result cannot change after that.
            patience: multiple of the time limit.

        Raises:
            SimulationError: a position is not finite.
        """
        start = tuple(map(start_pose, blocks))
        bodies = self._build(start)
        *_, (steps, at_rest, motion) = self._advance(bodies, start, drop, give_up_beyond, patience)
        poses = self._poses(bodies, start)
        displacements = tuple(
            math.dist(after.position, before.position)
            for after, before in zip(poses, start, strict=True)
        )
        if not all(map(math.isfinite, displacements)):
            raise SimulationError(f"a block's position is not finite after {steps} steps: {blocks}")
        return Settled(poses, displacements, at_rest, steps, motion)

    def watch(
        self,
        blocks: Sequence[Block | Pose],
        drop: float = 0.0,
        give_up_beyond: float = math.inf,
        patience: float = 1.0,
    ) -> Iterator[tuple[Pose, ...]]:
        """Simulate like `settle` and yield frames: initial poses, then FRAMES_PER_SECOND.

        The last frame equals the poses of `settle`, bit for bit. Exhaust the iterator before the
        next simulation: both share one world.
        """
        start = tuple(map(start_pose, blocks))
        bodies = self._build(start)
        yield start
        for _ in self._advance(bodies, start, drop, give_up_beyond, patience):
            yield self._poses(bodies, start)

    def _advance(
        self,
        bodies: Sequence[int],
        poses: Sequence[Pose],
        drop: float,
        give_up_beyond: float,
        patience: float,
    ) -> Iterator[tuple[int, bool, Motion]]:
        """Step until rest or the time limit; yield (steps so far, all at rest, first motion)."""
        start = [_bullet_position(pose) for pose in poses]
        fall = math.sqrt(2 * max(drop, 0.0))
        max_steps = round((MAX_DURATION + fall * TAU) * patience / TIME_STEP)
        min_steps = round((1 + fall) * TAU / TIME_STEP)
        steps, at_rest = 0, False
        motion: Motion = Still()
        while steps < max_steps and not at_rest:
            pybullet.stepSimulation(physicsClientId=self._client)
            steps += STEPS_BETWEEN_CHECKS
            positions = self._positions(bodies)
            farthest = max(map(math.dist, positions, start))
            given_up = farthest > give_up_beyond
            if farthest > FALL_DISPLACEMENT and isinstance(motion, Still):
                motion = first_motion(start, positions, drop)
            at_rest = not given_up and steps >= min_steps and self._max_speed(bodies) < REST_SPEED
            yield steps, at_rest, motion
            if given_up:
                return

    def _reset(self) -> None:
        """Reset to a world that holds only the ground."""
        client = self._client
        pybullet.resetSimulation(pybullet.RESET_USE_SIMPLE_BROADPHASE, physicsClientId=client)
        pybullet.setGravity(0, 0, -GRAVITY, physicsClientId=client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=STEPS_BETWEEN_CHECKS * TIME_STEP,
            numSubSteps=STEPS_BETWEEN_CHECKS,
            physicsClientId=client,
        )
        plane = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=client)
        self._set_contact(pybullet.createMultiBody(0, plane, physicsClientId=client))
        self._bodies: list[int] = []
        self._shapes: dict[Vector, int] = {}
        self._simulations = 0

    def _build(self, poses: Sequence[Pose]) -> list[int]:
        """Replace the bodies of the last simulation by these blocks."""
        client = self._client
        while self._bodies:
            pybullet.removeBody(self._bodies.pop(), physicsClientId=client)
        if self._simulations == RESET_AFTER:
            self._reset()
        self._simulations += 1
        easy = len({pose.edges for pose in poses}) == 1 and len(poses) < 6
        pybullet.setPhysicsEngineParameter(
            numSolverIterations=SOLVER_ITERATIONS if easy else MANY_SOLVER_ITERATIONS,
            physicsClientId=client,
        )
        for _, group in groupby(poses, key=lambda pose: pose.edges):
            self._bodies += self._add(list(group))
        return list(self._bodies)

    def _add(self, poses: Sequence[Pose]) -> tuple[int, ...]:
        """Add blocks of one shape in a single call, which costs little more than adding one."""
        client, first = self._client, poses[0]
        if first.edges not in self._shapes:
            self._shapes[first.edges] = pybullet.createCollisionShape(
                pybullet.GEOM_BOX, halfExtents=half_extents(first), physicsClientId=client
            )
        positions = [_bullet_position(pose) for pose in poses]
        bodies: tuple[int, ...] = pybullet.createMultiBody(
            first.size**3 * math.prod(first.stretch),
            self._shapes[first.edges],
            batchPositions=positions,
            useMaximalCoordinates=True,
            physicsClientId=client,
        )
        for body, pose, position in zip(bodies, poses, positions, strict=True):
            pybullet.resetBasePositionAndOrientation(
                body, position, pose.orientation, physicsClientId=client
            )
            self._set_contact(body)
        return bodies

    def _set_contact(self, body: int) -> None:
        pybullet.changeDynamics(
            body,
            -1,
            lateralFriction=math.sqrt(FRICTION),  # Bullet multiplies the two bodies' values
            restitution=0,
            linearDamping=0,
            angularDamping=0,
            physicsClientId=self._client,
        )

    def _poses(self, bodies: Sequence[int], start: Sequence[Pose]) -> tuple[Pose, ...]:
        poses = []
        for body, before in zip(bodies, start, strict=True):
            (x, depth, y), orientation = pybullet.getBasePositionAndOrientation(
                body, physicsClientId=self._client
            )
            poses.append(replace(before, position=(x, y, -depth), orientation=orientation))
        return tuple(poses)

    def _positions(self, bodies: Sequence[int]) -> list[Vector]:
        """Return the blocks' centers in PyBullet's axes: x, away from the viewer, up."""
        return [
            pybullet.getBasePositionAndOrientation(body, physicsClientId=self._client)[0]
            for body in bodies
        ]

    def _max_speed(self, bodies: Sequence[int]) -> float:
        fastest = 0.0
        for body in bodies:
            linear, angular = pybullet.getBaseVelocity(body, physicsClientId=self._client)
            fastest = max(fastest, math.hypot(*linear), math.hypot(*angular))
        return fastest


def first_motion(start: Sequence[Vector], positions: Sequence[Vector], drop: float) -> Motion:
    """Determine which block began to move, and to which side, once any block has fallen.

    Blocks that topple together start together, and the highest of them is the fastest: the lowest
    one counts, because its support gives way. Blocks that are pushed the opposite way do not count.
    A block that falls straight down moves to the side on which it overhangs the one below.

    Args:
        start, positions: initial and current positions, lowest first, in PyBullet's axes: x, away
            from the viewer, up.
        drop: fall height that does not count as motion.
    """
    shifts = [
        (x - x0, away - away0, max(up0 - up - drop, 0.0))
        for (x0, away0, up0), (x, away, up) in zip(start, positions, strict=True)
    ]
    distances = [math.hypot(*shift) for shift in shifts]
    if max(distances) <= FALL_DISPLACEMENT:
        return Still()
    farthest = shifts[distances.index(max(distances))]
    first = next(
        index
        for index, shift in enumerate(shifts)
        if distances[index] > MOTION_DISPLACEMENT and sum(map(mul, shift, farthest)) > 0
    )
    x, away, _ = shifts[first]
    if math.hypot(x, away) <= MOTION_DISPLACEMENT:
        (x, away, _), (below_x, below_away, _) = start[first], start[max(first - 1, 0)]
        x, away = x - below_x, away - below_away
    return FirstMove(first + 1, _side(x, away))


def _side(x: float, away: float) -> Side:
    """Return the side of the larger component."""
    if abs(x) >= abs(away):
        return "right" if x > 0 else "left"
    return "away" if away > 0 else "towards"


def upright(yaw: float) -> Quaternion:
    """Return the quaternion (x, y, z, w) of a rotation about PyBullet's vertical."""
    return (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))


def start_pose(block: Block | Pose) -> Pose:
    """Return the pose of a block before it is released."""
    if isinstance(block, Pose):
        return block
    position = (block.x, block.y, block.z)
    return Pose(position, upright(block.yaw), block.color, block.size, block.stretch)


def scene_poses(scene: SceneSpec) -> tuple[Pose, ...]:
    """Return the poses of a scene's blocks before they are released."""
    return (*scene.rest, *map(start_pose, scene.blocks[len(scene.rest) :]))


def _bullet_position(pose: Pose) -> Vector:
    x, y, z = pose.position
    return (x, -z, y)
