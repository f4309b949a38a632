"""Gives pandas' frames a method: ``df.agent.map(agent, "Classify: {review}")``, once imported."""

from .rows.accessor import register

register()
