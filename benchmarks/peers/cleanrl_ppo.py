"""The bare-loop recipes that control is compared with: CleanRL's ppo_continuous_action.py and sac_continuous_action.py, written from their documentation.

    python benchmarks/peers/cleanrl_ppo.py --algorithm ppo --environment HalfCheetah-v5 --steps 100000

Nothing of Thuja is used but, at the end, the seeds of its test episodes, so that both are judged by the same ones. Source: Huang et al. 2022, "CleanRL:
High-quality single-file implementations of deep reinforcement learning algorithms", JMLR 23; https://docs.cleanrl.dev (defaults of the two files: PPO with one
environment, 2048 steps a rollout, 10 passes in 32 minibatches, clipping 0.2 of policy and value, gradient norm 0.5, rate 3e-4 falling to 0, observations and
rewards normalised and clipped at 10; SAC with rates 3e-4 and 1e-3, batch 256, 5000 random steps, actor moved twice at every second update, target rate 0.005).
CleanRL judges by the returns of training episodes; here the policy without noise plays the test seeds, with the normalisation it ended with.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

Policy = Callable[[np.ndarray], np.ndarray]
SEEDS = {"test": range(2_000_000, 2_000_100), "validation": range(1_000_000, 1_000_020)}
"""Of Thuja's episodes."""


def layer(inputs: int, outputs: int, std: float = np.sqrt(2)) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, std)
    nn.init.zeros_(made.bias)
    return made


def ppo(name: str, total: int, seed: int) -> Policy:
    """CleanRL's PPO for continuous actions."""
    torch.manual_seed(seed)
    environment = gymnasium.make(name)
    environment = gymnasium.wrappers.ClipAction(environment)
    normal = gymnasium.wrappers.NormalizeObservation(environment)
    clipped = gymnasium.wrappers.TransformObservation(normal, lambda seen: np.clip(seen, -10, 10), normal.observation_space)
    world = gymnasium.wrappers.TransformReward(gymnasium.wrappers.NormalizeReward(clipped, gamma=0.99), lambda reward: float(np.clip(reward, -10, 10)))
    numbers, actions = int(np.prod(world.observation_space.shape)), int(np.prod(world.action_space.shape))
    critic = nn.Sequential(layer(numbers, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, 1.0))
    actor = nn.Sequential(layer(numbers, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, actions, 0.01))
    log_std = nn.Parameter(torch.zeros(1, actions))
    parameters = [*critic.parameters(), *actor.parameters(), log_std]
    optimizer, length = torch.optim.Adam(parameters, 3e-4, eps=1e-5), 2048
    seen, _ = world.reset(seed=seed)
    ended = False
    rollouts = max(1, total // length)
    for rollout in range(rollouts):
        optimizer.param_groups[0]["lr"] = 3e-4 * (1 - rollout / rollouts)
        before, action, log, reward, done, value = (np.zeros((length, numbers), np.float32), np.zeros((length, actions), np.float32),
                                                    *(np.zeros(length, np.float32) for _ in range(4)))
        for t in range(length):
            before[t], done[t] = seen, ended
            with torch.no_grad():
                here = torch.from_numpy(before[t])[None]
                spread = Normal(actor(here), log_std.exp())
                drawn = spread.sample()
                value[t], log[t] = float(critic(here)), float(spread.log_prob(drawn).sum())
            action[t] = drawn[0].numpy()
            seen, gained, terminated, truncated, _ = world.step(action[t])
            reward[t], ended = gained, terminated or truncated
            if ended:
                seen, _ = world.reset()
        with torch.no_grad():
            after = float(critic(torch.from_numpy(np.asarray(seen, np.float32))[None]))
        advantage, gain = np.zeros(length, np.float32), 0.0
        for t in reversed(range(length)):
            going, following = (1.0 - float(ended), after) if t == length - 1 else (1.0 - done[t + 1], value[t + 1])
            gain = reward[t] + 0.99 * following * going - value[t] + 0.99 * 0.95 * going * gain
            advantage[t] = gain
        data = [torch.from_numpy(part) for part in (before, action, log, advantage, advantage + value, value)]
        for _ in range(10):
            for index in torch.randperm(length).split(length // 32):
                ppo_update([part[index] for part in data], (actor, critic, log_std), parameters, optimizer)

    def policy(observations: np.ndarray) -> np.ndarray:
        scaled = np.clip((observations - normal.obs_rms.mean) / np.sqrt(normal.obs_rms.var + 1e-8), -10, 10).astype(np.float32)
        with torch.no_grad():
            return np.asarray(actor(torch.from_numpy(scaled)).numpy())

    return policy


def ppo_update(batch: list[Tensor], nets: Any, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    actor, critic, log_std = nets
    before, action, log, advantage, target, value = batch
    spread = Normal(actor(before), log_std.exp())
    ratio = (spread.log_prob(action).sum(1) - log).exp()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2)).mean()
    now = critic(before)[:, 0]
    near = value + (now - value).clamp(-0.2, 0.2)
    worth = 0.5 * torch.max((now - target).square(), (near - target).square()).mean()
    optimizer.zero_grad()
    (policy + 0.5 * worth).backward()
    nn.utils.clip_grad_norm_(parameters, 0.5)
    optimizer.step()


class Actor(nn.Module):
    def __init__(self, numbers: int, space: Any) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(numbers, 256), nn.Linear(256, 256)
        self.mean, self.spread = nn.Linear(256, len(space.low)), nn.Linear(256, len(space.low))
        self.scale, self.bias = torch.tensor((space.high - space.low) / 2), torch.tensor((space.high + space.low) / 2)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.second(torch.relu(self.first(seen))))
        return self.mean(hidden), -5 + 3.5 * (torch.tanh(self.spread(hidden)) + 1)

    def drawn(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self(seen)
        normal = Normal(mean, log_std.exp())
        raw = normal.rsample()
        squashed = torch.tanh(raw)
        log = normal.log_prob(raw) - torch.log(self.scale * (1 - squashed.square()) + 1e-6)
        return squashed * self.scale + self.bias, log.sum(1, keepdim=True)


def sac(name: str, total: int, seed: int, warm: int = 5000) -> Policy:
    """CleanRL's SAC."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    world = gymnasium.make(name)
    space = world.action_space
    space.seed(seed)
    numbers, actions = int(np.prod(world.observation_space.shape)), len(space.low)
    actor = Actor(numbers, space)
    critics, targets = ([nn.Sequential(nn.Linear(numbers + actions, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)) for _ in range(2)]
                        for _ in range(2))
    for target, critic in zip(targets, critics, strict=True):
        target.load_state_dict(critic.state_dict())
    learned = [p for critic in critics for p in critic.parameters()]
    of_critics, of_actor = torch.optim.Adam(learned, 1e-3), torch.optim.Adam(actor.parameters(), 3e-4)
    log_alpha = nn.Parameter(torch.zeros(1))
    of_alpha = torch.optim.Adam([log_alpha], 1e-3)
    kept = [np.zeros((total, width), np.float32) for width in (numbers, actions, 1, numbers, 1)]
    seen, _ = world.reset(seed=seed)
    for step in range(total):
        with torch.no_grad():
            action = space.sample() if step < warm else actor.drawn(torch.from_numpy(np.asarray(seen, np.float32))[None])[0][0].numpy()
        after, gained, terminated, truncated, _ = world.step(action)
        for room, value in zip(kept, (seen, action, gained, after, terminated), strict=True):
            room[step] = value
        seen = world.reset()[0] if terminated or truncated else after
        if step <= warm:
            continue
        before, done, reward, then, over = (torch.from_numpy(room[index]) for index in [random.integers(0, step + 1, 256)] for room in kept)
        alpha = log_alpha.exp().item()
        with torch.no_grad():
            next_action, next_log = actor.drawn(then)
            worth = torch.min(*(target(torch.cat([then, next_action], 1)) for target in targets)) - alpha * next_log
            wanted = reward + (1 - over) * 0.99 * worth
        loss = sum((critic(torch.cat([before, done], 1)) - wanted).square().mean() for critic in critics)
        of_critics.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        of_critics.step()
        if step % 2 == 0:
            for _ in range(2):
                new, log = actor.drawn(before)
                of_actor.zero_grad()
                (log_alpha.exp().item() * log - torch.min(*(critic(torch.cat([before, new], 1)) for critic in critics))).mean().backward()
                of_actor.step()
                with torch.no_grad():
                    _, log = actor.drawn(before)
                of_alpha.zero_grad()
                (-log_alpha.exp() * (log - actions)).mean().backward()
                of_alpha.step()
        with torch.no_grad():
            for target, critic in zip(targets, critics, strict=True):
                for ours, theirs in zip(target.parameters(), critic.parameters(), strict=True):
                    ours.lerp_(theirs, 0.005)

    def policy(observations: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray((torch.tanh(actor(torch.from_numpy(observations.astype(np.float32)))[0]) * actor.scale + actor.bias).numpy())

    return policy


def judged(name: str, policy: Policy, seeds: range) -> np.ndarray:
    """The return of an episode from each seed."""
    world, found = gymnasium.make(name), []
    for seed in seeds:
        seen, _ = world.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action = np.clip(policy(np.asarray(seen)[None])[0], world.action_space.low, world.action_space.high)
            seen, gained, terminated, truncated, _ = world.step(action.astype(np.float32))
            total, over = total + float(gained), terminated or truncated
        found.append(total)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=("ppo", "sac"), default="sac")
    parser.add_argument("--environment", default="HalfCheetah-v5")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--warm", type=int, default=5000, help="random steps of SAC")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=tuple(SEEDS), default="test")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    if arguments.algorithm == "ppo":
        policy = ppo(arguments.environment, arguments.steps, arguments.seed)
    else:
        policy = sac(arguments.environment, arguments.steps, arguments.seed, arguments.warm)
    trained = time.perf_counter() - began
    returns = judged(arguments.environment, policy, SEEDS[arguments.part])
    print(json.dumps({"mean_return": round(float(returns.mean()), 2), "sd_of_episodes": round(float(returns.std()), 2), "episodes": len(returns),
                      "train_s": round(trained, 1)}))


if __name__ == "__main__":
    main()
