"""The main job, played through each way to run the product that this machine can run."""
