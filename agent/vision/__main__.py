"""How the agent starts the vision child."""

import sys

from agent.vision.process import main

sys.exit(main(int(sys.argv[1])))
