"""Rigid blocks in PyBullet: let go, watched until they rest.

The settings decide whether labels are right; they were chosen by agreement with the exact static
criterion (docs/environment.md). Every question gets new blocks: re-posed ones remember what they
touched, new ones in an empty world are reproducible bit for bit, across processes too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import mul

from physrl.environments.quiet_bullet import pybullet
from physrl.errors import SimulationError
from physrl.types import Block, FirstMove, Motion, Pose, Side, Still, Vector

GRAVITY = 9.81
TIME_STEP = 1 / 240
SOLVER_ITERATIONS = 50
MANY_SOLVER_ITERATIONS = 150
"""For heavy blocks on light ones, and for towers of six."""
"""Heavy blocks on light ones need more, or tall towers creep until they fall."""
FRICTION = 0.7
TAU = math.sqrt(1.0 / GRAVITY)
"""The time scale of toppling for a block one metre wide, in seconds."""
LONGEST = 4 * TAU
REST_SPEED = 0.005 / TAU
FALL_DISPLACEMENT = 0.1
"""A block that moved further than this has fallen, in block widths."""
STIRS = 0.01
"""A block that moved this far, down or sideways, when another has fallen, has begun to move."""
STEPS_BETWEEN_CHECKS = 8
"""A power of two: PyBullet then divides the time into exactly these steps."""
FRAMES_PER_SECOND = round(1 / (TIME_STEP * STEPS_BETWEEN_CHECKS))
"""Of what `Simulator.watch` shows, in the simulator's time."""
LONGEST_WORLD = 500
"""Questions until PyBullet is reset: it keeps a little of every block that it removes."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The world after it was let go."""

    poses: tuple[Pose, ...]
    displacements: tuple[float, ...]
    """How far each block moved from where it was let go, in block widths."""
    at_rest: bool
    steps: int
    motion: Motion
    """What moved first."""


class Simulator:
    """One PyBullet world that is emptied for every question. A block width is one metre.

    Blocks are removed in the reverse of the order in which they came. With the simple broadphase,
    the world is then what it was after its reset: what a question's blocks do is the same bits
    whatever was asked before. A reset for every question would cost ten times as much.
    """

    def __init__(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise SimulationError("PyBullet refused a connection: too many simulators are open")
        self._reset()

    def close(self) -> None:
        pybullet.disconnect(self._client)

    def settle(
        self, blocks: Sequence[Block], drop: float = 0.0, give_up_beyond: float = math.inf
    ) -> Settled:
        """Let the blocks go and step until they rest.

        Args:
            blocks: where they start; bottom first gives the solver the least work.
            drop: height that a block falls through before it touches, in block widths; lengthens
                the time that the world is given.
            give_up_beyond: stop as soon as a block has moved this far: what follows would not
                change what the caller wants to know.

        Raises:
            SimulationError: a position is not finite.
        """
        bodies = self._build(blocks)
        *_, (steps, at_rest, motion) = self._advance(bodies, blocks, drop, give_up_beyond)
        poses = self._poses(bodies, blocks)
        moved = tuple(
            math.dist(pose.position, (block.x, block.y, block.z))
            for pose, block in zip(poses, blocks, strict=True)
        )
        if not all(map(math.isfinite, moved)):
            raise SimulationError(f"a block's position is not finite after {steps} steps: {blocks}")
        return Settled(poses, moved, at_rest, steps, motion)

    def watch(
        self, blocks: Sequence[Block], drop: float = 0.0, give_up_beyond: float = math.inf
    ) -> Iterator[tuple[Pose, ...]]:
        """What `settle` does, in frames: the start, then poses FRAMES_PER_SECOND times a second.

        The last frame equals what `settle` gives, bit for bit. The world is this simulator's only
        one: take the last frame before it is asked anything else.
        """
        bodies = self._build(blocks)
        yield tuple(map(start_pose, blocks))
        for _ in self._advance(bodies, blocks, drop, give_up_beyond):
            yield self._poses(bodies, blocks)

    def _advance(
        self, bodies: Sequence[int], blocks: Sequence[Block], drop: float, give_up_beyond: float
    ) -> Iterator[tuple[int, bool, Motion]]:
        """Step until the blocks rest or time is up: steps so far, whether all rest, what moved."""
        start = [(block.x, -block.z, block.y) for block in blocks]
        fall = math.sqrt(2 * max(drop, 0.0))
        longest = round((LONGEST + fall * TAU) / TIME_STEP)
        shortest = round((1 + fall) * TAU / TIME_STEP)
        steps, at_rest = 0, False
        motion: Motion = Still()
        while steps < longest and not at_rest:
            pybullet.stepSimulation(physicsClientId=self._client)
            steps += STEPS_BETWEEN_CHECKS
            places = self._places(bodies)
            farthest = max(map(math.dist, places, start))
            given_up = farthest > give_up_beyond
            if farthest > FALL_DISPLACEMENT and isinstance(motion, Still):
                motion = first_motion(start, places, drop)
            at_rest = not given_up and steps >= shortest and self._fastest(bodies) < REST_SPEED
            yield steps, at_rest, motion
            if given_up:
                return

    def _reset(self) -> None:
        """A world that holds nothing but the ground."""
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
        self._cubes: dict[float, int] = {}
        self._questions = 0

    def _build(self, blocks: Sequence[Block]) -> list[int]:
        """The blocks in place of those of the last question."""
        client = self._client
        while self._bodies:
            pybullet.removeBody(self._bodies.pop(), physicsClientId=client)
        if self._questions == LONGEST_WORLD:
            self._reset()
        self._questions += 1
        easy = len({block.size for block in blocks}) == 1 and len(blocks) < 6
        pybullet.setPhysicsEngineParameter(
            numSolverIterations=SOLVER_ITERATIONS if easy else MANY_SOLVER_ITERATIONS,
            physicsClientId=client,
        )
        for size, alike in groupby(blocks, key=lambda block: block.size):
            self._bodies += self._add(size, list(alike))
        return list(self._bodies)

    def _add(self, size: float, blocks: Sequence[Block]) -> tuple[int, ...]:
        """Blocks of one size; one call for all of them costs little more than one for a block."""
        client = self._client
        if size not in self._cubes:
            self._cubes[size] = pybullet.createCollisionShape(
                pybullet.GEOM_BOX, halfExtents=[size / 2] * 3, physicsClientId=client
            )
        places = [(block.x, -block.z, block.y) for block in blocks]
        bodies: tuple[int, ...] = pybullet.createMultiBody(
            size**3,
            self._cubes[size],
            batchPositions=places,
            useMaximalCoordinates=True,
            physicsClientId=client,
        )
        for body, block, place in zip(bodies, blocks, places, strict=True):
            pybullet.resetBasePositionAndOrientation(
                body, place, upright(block.yaw), physicsClientId=client
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

    def _poses(self, bodies: Sequence[int], blocks: Sequence[Block]) -> tuple[Pose, ...]:
        poses = []
        for body, block in zip(bodies, blocks, strict=True):
            (x, depth, y), orientation = pybullet.getBasePositionAndOrientation(
                body, physicsClientId=self._client
            )
            poses.append(Pose((x, y, -depth), orientation, block.color, block.size))
        return tuple(poses)

    def _places(self, bodies: Sequence[int]) -> list[Vector]:
        """The blocks' centres in PyBullet's axes: x, away from the viewer, up."""
        return [
            pybullet.getBasePositionAndOrientation(body, physicsClientId=self._client)[0]
            for body in bodies
        ]

    def _fastest(self, bodies: Sequence[int]) -> float:
        fastest = 0.0
        for body in bodies:
            linear, angular = pybullet.getBaseVelocity(body, physicsClientId=self._client)
            fastest = max(fastest, math.hypot(*linear), math.hypot(*angular))
        return fastest


def first_motion(start: Sequence[Vector], places: Sequence[Vector], drop: float) -> Motion:
    """Which block has begun to move, and to which side, as soon as any has fallen.

    What topples together begins together, and its highest block is the fastest: the lowest counts,
    whose support gives way. What it kicks back, the other way, does not. A block that falls
    straight down moves to the side on which it stands out from the one below.

    Args:
        start, places: where the blocks were let go, lowest first, and where they are now, in
            PyBullet's axes: x, away from the viewer, up.
        drop: what may be fallen through before it counts.
    """
    shifts = [
        (x - x0, away - away0, max(up0 - up - drop, 0.0))
        for (x0, away0, up0), (x, away, up) in zip(start, places, strict=True)
    ]
    moved = [math.hypot(*shift) for shift in shifts]
    if max(moved) <= FALL_DISPLACEMENT:
        return Still()
    fastest = shifts[moved.index(max(moved))]
    first = next(
        index
        for index, shift in enumerate(shifts)
        if moved[index] > STIRS and sum(map(mul, shift, fastest)) > 0
    )
    x, away, _ = shifts[first]
    if math.hypot(x, away) <= STIRS:
        (x, away, _), (below_x, below_away, _) = start[first], start[max(first - 1, 0)]
        x, away = x - below_x, away - below_away
    return FirstMove(first + 1, _side(x, away))


def _side(x: float, away: float) -> Side:
    """The larger part decides."""
    if abs(x) >= abs(away):
        return "right" if x > 0 else "left"
    return "away" if away > 0 else "towards"


def upright(yaw: float) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) of a turn about PyBullet's vertical."""
    return (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))


def start_pose(block: Block) -> Pose:
    """Where a block stands before it is let go."""
    return Pose((block.x, block.y, block.z), upright(block.yaw), block.color, block.size)
